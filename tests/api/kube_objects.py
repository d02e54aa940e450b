"""Small objects to write."""

from modeldeploy.adapters.kube.resources import Object


def config_map(namespace: str, name: str, data: dict[str, str], **meta: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"namespace": namespace, "name": name, **meta},
        "data": data,
    }


def deployment(namespace: str, name: str, *, image: str = "localhost/none:1", replicas: int = 1) -> Object:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "server", "image": image}]},
            },
        },
    }


def model_deployment(namespace: str, name: str, version: str = "1") -> Object:
    return {
        "apiVersion": "modeldeploy.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {
            "model": {"version": version},
            "server": {"runtime": "OpenInference", "image": f"localhost/none:{version}"},
        },
    }
