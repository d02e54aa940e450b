"""Events on a real API server."""

import pytest

from api.kube_objects import config_map
from modeldeploy.adapters.kube.client import Kube
from modeldeploy.adapters.kube.events import Recorder
from modeldeploy.adapters.kube.resources import EVENT

pytestmark = pytest.mark.api


async def test_events_are_posted_in_order_about_their_object(kube: Kube, namespace: str) -> None:
    about = await kube.create(config_map(namespace, "c", {}))
    recorder = Recorder(kube, "modeldeploy", "pod-1")
    recorder.record(about, "Normal", "First", "one")
    recorder.record(about, "Warning", "Second", "x" * 2000)
    await recorder.drain()
    found = (await kube.list(EVENT, namespace, fields=f"involvedObject.uid={about['metadata']['uid']}")).items
    found.sort(key=lambda event: int(event["metadata"]["resourceVersion"]))
    assert [(event["reason"], event["type"]) for event in found] == [
        ("First", "Normal"),
        ("Second", "Warning"),
    ]
    assert found[0]["message"] == "one"
    assert found[1]["message"] == "x" * 1023 + "…"
    assert found[0]["reportingComponent"] == "modeldeploy"


async def test_an_event_that_is_refused_does_no_harm(
    kube: Kube, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    about = config_map(f"{namespace}-gone", "c", {}, uid="none")
    recorder = Recorder(kube, "modeldeploy", "pod-1")
    recorder.record(about, "Normal", "First", "one")
    recorder.record(about, "Normal", "Second", "two")
    await recorder.drain()
    assert caplog.text.count("not posted") == 2


async def test_a_flood_is_cut_off(kube: Kube, namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    about = config_map(f"{namespace}-gone", "c", {}, uid="none")
    recorder = Recorder(kube, "modeldeploy", "pod-1")
    for _ in range(300):
        recorder.record(about, "Normal", "Flood", "again")
    await recorder.drain(grace=0.0)
    assert caplog.text.count("dropped: too many wait") == 300 - 256
