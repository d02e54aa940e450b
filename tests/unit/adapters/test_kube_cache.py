"""What the cache keeps, and what it never does."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeldeploy.adapters.kube.cache import Cache
from modeldeploy.adapters.kube.slim import slim

pytestmark = pytest.mark.unit

LABEL = "modeldeploy.dev/name"


def obj(
    name: str = "a", version: str = "1", *, kind: str = "Deployment", owner: str | None = "m", **more: Any
) -> Any:
    meta = {
        "namespace": "ns",
        "name": name,
        "uid": more.pop("uid", f"uid-{name}"),
        "resourceVersion": version,
    }
    labels = {LABEL: owner} if owner else {}
    return {"kind": kind, "metadata": {**meta, "labels": labels}, **more}


def version_of(cache: Cache, name: str = "a") -> str | None:
    found = cache.get("Deployment", "ns", name)
    return found["metadata"]["resourceVersion"] if found else None


def names(objects: Any) -> list[str]:
    return [one["metadata"]["name"] for one in objects]


def test_a_watch_feeds_the_cache() -> None:
    cache = Cache()
    assert cache.feed(None, obj(version="1"))
    assert cache.feed("MODIFIED", obj(version="2"))
    assert version_of(cache) == "2"
    assert not cache.feed("MODIFIED", obj(version="2")), "nothing new"
    assert cache.feed("DELETED", obj(version="3"))
    assert version_of(cache) is None


def test_changes_grow_with_every_change_and_only_then() -> None:
    cache = Cache()
    counts = [cache.changes]
    for event, version in (
        (None, "1"),
        ("MODIFIED", "1"),
        ("MODIFIED", "2"),
        ("DELETED", "3"),
        ("DELETED", "3"),
    ):
        cache.feed(event, obj(version=version))
        counts.append(cache.changes)
    grew = [after > before for before, after in itertools.pairwise(counts)]
    assert grew == [True, False, True, True, False]


def test_our_own_write_is_here_at_once_and_a_late_event_does_not_undo_it() -> None:
    cache = Cache()
    cache.feed("ADDED", obj(version="9"))
    assert cache.wrote(obj(version="11"))
    assert not cache.feed("MODIFIED", obj(version="10"))
    assert version_of(cache) == "11"
    assert cache.feed("MODIFIED", obj(version="12"))
    assert version_of(cache) == "12"


def test_what_an_answer_brought_of_others_is_news_when_the_watch_shows_it() -> None:
    cache = Cache()
    cache.feed("ADDED", obj(version="9"))
    cache.wrote(obj(version="11"))  # 10 is another's: it became ready, say
    assert not cache.feed("MODIFIED", obj(version="10"))
    before = cache.changes
    assert cache.feed("MODIFIED", obj(version="11")), "nobody else tells of 10"
    assert not cache.feed("MODIFIED", obj(version="11")), "once"
    assert cache.changes == before


def test_an_answer_that_holds_nothing_of_others_is_no_news_a_second_time() -> None:
    cache = Cache()
    cache.feed("ADDED", obj(version="9"))
    assert cache.wrote(obj(version="10"), alone=True)
    assert not cache.feed("MODIFIED", obj(version="10"))


def test_a_write_to_what_nobody_was_told_of_yet_keeps_that_untold() -> None:
    cache = Cache()
    cache.feed("ADDED", obj(version="9"))
    cache.wrote(obj(version="10"))
    cache.wrote(obj(version="11"), alone=True)
    assert not cache.feed("MODIFIED", obj(version="10"))
    assert cache.feed("MODIFIED", obj(version="11"))


def test_what_an_answer_brought_of_others_is_news_in_a_list() -> None:
    cache = Cache()
    cache.wrote(obj(version="10"))
    assert names(cache.replace("Deployment", [obj(version="10")], "12")) == ["a"]
    assert not cache.feed("MODIFIED", obj(version="10"))


def test_an_answer_that_arrives_after_newer_news_is_dropped() -> None:
    cache = Cache()
    cache.feed("MODIFIED", obj(version="12"))
    assert not cache.wrote(obj(version="11"))
    assert version_of(cache) == "12"


def test_an_answer_that_arrives_after_the_objects_end_does_not_raise_it() -> None:
    cache = Cache()
    cache.feed("ADDED", obj(version="9"))
    cache.feed("DELETED", obj(version="12"))
    assert not cache.wrote(obj(version="11"))
    assert version_of(cache) is None
    assert cache.feed("ADDED", obj(version="13", uid="another")), "its successor is another object"


def test_the_end_of_a_predecessor_does_not_touch_its_successor() -> None:
    cache = Cache()
    cache.wrote(obj(version="13", uid="new"))
    assert not cache.feed("DELETED", obj(version="12", uid="old"))
    assert version_of(cache) == "13"


def test_versions_that_cannot_be_compared_hold_our_write_until_the_watch_shows_it() -> None:
    now = 100.0
    cache = Cache(clock=lambda: now)
    cache.feed("ADDED", obj(version="x"))
    cache.wrote(obj(version="z"))
    assert not cache.feed("MODIFIED", obj(version="y"))
    cache.feed("MODIFIED", obj(version="z"))
    assert cache.feed("MODIFIED", obj(version="b")), "the watch has shown our write, what follows is newer"
    cache.wrote(obj(version="q"))
    now += 5.1
    assert cache.feed("MODIFIED", obj(version="c")), "the watch missed our write"


def test_children_are_found_by_label_kind_and_namespace_in_order() -> None:
    cache = Cache()
    for name in "cab":
        cache.feed(None, obj(name))
    cache.feed(None, obj("d", owner="other"))
    cache.feed(None, obj("e", kind="Pod"))
    cache.feed(None, obj("f", owner=None))
    assert names(cache.children("ns", "m", "Deployment")) == ["a", "b", "c"]
    assert names(cache.children("ns", "m", "Pod")) == ["e"]
    assert names(cache.children("elsewhere", "m", "Deployment")) == []
    assert names(cache.objects("Deployment")) == ["c", "a", "b", "d", "f"]
    assert names(cache.objects("Deployment", "elsewhere")) == []


def test_a_changed_label_moves_a_child() -> None:
    cache = Cache()
    cache.feed(None, obj(version="1"))
    cache.feed("MODIFIED", obj(version="2", owner="other"))
    assert names(cache.children("ns", "m", "Deployment")) == []
    assert names(cache.children("ns", "other", "Deployment")) == ["a"]


def test_absence_is_known_only_after_a_list() -> None:
    cache = Cache()
    assert not cache.listed("Deployment")
    cache.replace("Deployment", [], "5")
    assert cache.listed("Deployment")
    assert not cache.listed("Pod")


def test_a_list_removes_what_it_did_not_find_unless_that_is_newer() -> None:
    cache = Cache()
    cache.feed(None, obj("gone", "3"))
    cache.feed(None, obj("stays", "4"))
    cache.wrote(obj("new", "8"))
    cache.feed(None, obj("pod", "2", kind="Pod"))
    cache.feed(None, obj("same", "5"))
    news = cache.replace("Deployment", [obj("stays", "5"), obj("found", "6"), obj("same", "5")], "7")
    assert names(news) == ["stays", "found", "gone"]
    assert not cache.feed("MODIFIED", obj("stays", "5"))
    assert sorted(names(cache.objects("Deployment"))) == ["found", "new", "same", "stays"]
    assert version_of(cache, "stays") == "5"
    assert names(cache.objects("Pod")) == ["pod"]
    assert names(cache.children("ns", "m", "Deployment")) == ["found", "new", "same", "stays"]


def test_a_list_does_not_undo_newer_news() -> None:
    cache = Cache()
    cache.feed("MODIFIED", obj("a", "9"))
    cache.feed("DELETED", obj("b", "9"))
    cache.replace("Deployment", [obj("a", "5"), obj("b", "6")], "7")
    assert version_of(cache, "a") == "9"
    assert version_of(cache, "b") is None


def test_a_restored_store_is_believed() -> None:
    cache = Cache()
    cache.replace("Deployment", [obj("a", "900"), obj("b", "901")], "950")
    cache.feed("DELETED", obj("b", "960"))
    cache.replace("Deployment", [obj("a", "400"), obj("b", "401")], "500")
    assert version_of(cache, "a") == "400"
    assert version_of(cache, "b") == "401"


@given(
    st.permutations(["ADDED 1", "MODIFIED 3", "MODIFIED 5", "wrote 2", "wrote 4", "wrote 6", "list 4"]),
)
def test_whatever_the_order_the_newest_stands_in_the_end(order: list[str]) -> None:
    cache = Cache()
    highest = 0
    for word in order:
        what, version = word.split()
        highest = max(highest, int(version))
        if what == "wrote":
            cache.wrote(obj(version=version))
        elif what == "list":
            cache.replace("Deployment", [obj(version=version)], version)
        else:
            cache.feed(what, obj(version=version))
        assert version_of(cache) == str(highest)


def test_bookkeeping_is_dropped_and_the_rest_is_kept() -> None:
    source = obj(spec={"replicas": 1})
    source["metadata"] |= {
        "managedFields": [{}],
        "generation": 3,
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "long": "x" * 1025,
            "kept": "x" * 1024,
        },
    }
    kept = slim(source)
    assert set(kept["metadata"]) == {
        "namespace",
        "name",
        "uid",
        "resourceVersion",
        "labels",
        "generation",
        "annotations",
    }
    assert set(kept["metadata"]["annotations"]) == {"kept"}
    assert kept["spec"] == {"replicas": 1}
    assert "managedFields" in source["metadata"], "the source stays as it was"


def test_a_pod_keeps_what_messages_and_routers_need() -> None:
    statuses = [
        {"name": "server", "ready": True, "restartCount": 2, "imageID": "sha", "state": {"running": {}}}
    ]
    pod = obj(
        kind="Pod",
        spec={"nodeName": "n1", "containers": [{"name": "server", "env": []}], "volumes": []},
        status={
            "phase": "Running",
            "podIP": "10.0.0.1",
            "hostIP": "192.0.2.1",
            "qosClass": "Burstable",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": statuses,
        },
    )
    kept = slim(pod)
    assert kept["spec"] == {"nodeName": "n1"}
    assert set(kept["status"]) == {"phase", "podIP", "conditions", "containerStatuses"}
    assert kept["status"]["containerStatuses"] == [
        {"name": "server", "ready": True, "restartCount": 2, "state": {"running": {}}, "imageID": "sha"}
    ]


def test_a_pod_just_created_has_no_status_yet() -> None:
    assert slim(obj(kind="Pod"))["status"] == {}


def test_a_replica_set_keeps_no_template() -> None:
    kept = slim(obj(kind="ReplicaSet", spec={"replicas": 1, "selector": {}, "template": {"spec": {}}}))
    assert kept["spec"] == {"replicas": 1, "selector": {}}


def test_graves_are_bounded() -> None:
    cache = Cache()
    for number in itertools.islice(itertools.count(), 3000):
        cache.feed("DELETED", obj(f"n{number}", str(number + 1)))
    assert len(cache._graves) <= 1024
