"""The watch follows the cluster: a real HTTP server with an API server's faults on the other end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_watch import Timing
from tests.fakes import captures
from tests.fakes.apiserver import FakeApiServer, eventually
from tests.ownership.cluster import FAST, NODE, pod_object, read, uids, watching

Start = Callable[..., KubernetesPods]


# --- the store follows the cluster ---


def test_pods_of_this_node_are_listed_and_those_of_others_are_not(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    api.put(pod_object("b", node="node-2"))
    source = start()
    watching(api, source, "a")
    api.put(pod_object("c", node="node-2"))
    api.put(pod_object("d"))
    eventually(lambda: uids(source) == {"a", "d"})


def test_the_first_list_is_from_the_cache_and_the_watch_asks_for_bookmarks(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    watching(api, start(), "a")
    selector = {"fieldSelector": f"spec.nodeName={NODE}"}
    assert api.queries("list") == [{**selector, "limit": "500", "resourceVersion": "0"}]
    assert api.queries("watch") == [
        {**selector, "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": "101", "timeoutSeconds": "30"}
    ]


def test_changes_and_deletions_are_followed(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.put(pod_object("a", phase="Succeeded"))
    eventually(lambda: read(source).items[0].phase == "Succeeded")
    api.delete("a")
    eventually(lambda: not read(source).items)
    assert read(source).deleted == {"a"}


def test_a_tombstone_is_gone_after_a_minute(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start(Timing(stale=1000, retry=0.01, longest_retry=0.05))
    watching(api, source, "a")
    api.delete("a")
    eventually(lambda: read(source).deleted == {"a"})
    assert source.read(time.monotonic() + 61).deleted == frozenset()


def test_the_store_is_one_object_for_as_long_as_nothing_changes(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start(Timing(stale=1000, retry=0.01, longest_retry=0.05))
    watching(api, source, "a")
    now = time.monotonic()
    before = source.read(now)
    assert source.read(now + 1) is before
    api.put(pod_object("a", phase="Succeeded"))
    eventually(lambda: read(source) is not before)
    assert [pod.phase for pod in read(source).items] == ["Succeeded"]


def test_a_list_of_many_pages_is_read_to_its_end(api: FakeApiServer, start: Start) -> None:
    api.page = 2
    for number in range(5):
        api.put(pod_object(str(number)))
    watching(api, start(), *"01234")
    assert [("continue" in query, "resourceVersion" in query) for query in api.queries("list")] == [
        (False, True),
        (True, False),
        (True, False),
    ]


@pytest.mark.parametrize("name", captures.cases())
def test_a_recorded_node_is_in_the_store_as_it_is_read_from_the_file(
    name: str, api: FakeApiServer, tmp_path: Path
) -> None:
    capture = captures.load(name)
    node = capture.expect["node"]
    for pod in capture.pods_json["items"]:
        api.put(json.loads(json.dumps(pod)))
    assert isinstance(capture.pods.node_labels, dict)
    api.put_node(node, capture.pods.node_labels)
    source = KubernetesPods(node, kubeconfig=api.kubeconfig(tmp_path / "kubeconfig"), timing=FAST)
    try:
        eventually(lambda: len(uids(source)) == len(capture.pods.items))
        eventually(lambda: read(source).node_labels == capture.pods.node_labels)
        assert set(map(repr, read(source).items)) == set(map(repr, capture.pods.items))
    finally:
        source.close()


# --- the watch goes on ---


def test_a_watch_that_the_server_ends_is_resumed_without_a_list(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start(Timing(watch=1, retry=0.01, longest_retry=0.05))
    watching(api, source, "a")
    eventually(lambda: api.count("watch") >= 2)
    api.put(pod_object("b"))
    eventually(lambda: uids(source) == {"a", "b"})
    assert api.count("list") == 1


def test_a_broken_watch_is_resumed_from_the_last_bookmark(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.put(pod_object("b"))
    eventually(lambda: uids(source) == {"a", "b"})
    before = source._watch.state.contact
    api.bookmark()
    eventually(lambda: source._watch.state.contact > before)
    api.drop()
    eventually(lambda: api.count("watch") >= 2)
    assert api.queries("watch")[1]["resourceVersion"] == "112"
    assert api.count("list") == 1


def test_nothing_is_missed_while_the_connection_was_down(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    api.put(pod_object("b"))
    source = start()
    watching(api, source, "a", "b")
    api.stop()
    api.delete("a")
    api.put(pod_object("c"))
    assert uids(source) == {"a", "b"}
    api.start()
    eventually(lambda: uids(source) == {"b", "c"})
    assert read(source).deleted == {"a"}
    assert api.count("list") == 1


def test_a_version_too_old_in_http_makes_a_new_list_from_the_newest_state(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.stop()
    api.delete("a")
    api.put(pod_object("b"))
    api.compact()
    api.start()
    eventually(lambda: uids(source) == {"b"})
    assert read(source).deleted == {"a"}
    assert [query["resourceVersion"] for query in api.queries("list")] == ["0", ""]


@pytest.mark.parametrize(
    "status",
    [
        {"code": 410, "reason": "Expired", "message": "too old resource version"},
        {"code": 410},
        {"reason": "Expired"},
        {"reason": "Gone"},
    ],
    ids=str,
)
def test_a_version_too_old_in_an_event_makes_a_new_list(
    status: dict[str, Any], api: FakeApiServer, start: Start
) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.send_error(**status)
    eventually(lambda: api.count("list") == 2)
    api.put(pod_object("b"))
    eventually(lambda: uids(source) == {"a", "b"})


@pytest.mark.parametrize("line", [b"{not json\n", b"[]\n", b'{"type": "ADDED"}\n'])
def test_an_event_that_cannot_be_read_makes_a_new_list(line: bytes, api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.send(line)
    eventually(lambda: api.count("list") == 2)
    api.put(pod_object("b"))
    eventually(lambda: uids(source) == {"a", "b"})


def test_an_error_event_that_is_not_about_the_version_is_no_reason_to_list(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.send_error(code=500, message="etcd is on fire")
    eventually(lambda: api.count("watch") == 2)
    api.put(pod_object("b"))
    eventually(lambda: uids(source) == {"a", "b"})
    assert api.count("list") == 1


def test_a_half_open_connection_ends_after_its_silence(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start(Timing(silence=0.3, retry=0.01, longest_retry=0.05))
    api.half_open = True
    watching(api, source, "a")
    api.put(pod_object("b"))
    eventually(lambda: api.count("watch") >= 2)
    assert uids(source) == {"a"}
    api.half_open = False
    eventually(lambda: uids(source) == {"a", "b"})


def test_a_watch_that_ends_at_once_is_no_busy_loop(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    api.ends_at_once = True
    source = start(Timing(retry=0.2, longest_retry=5))
    watching(api, source, "a")
    time.sleep(0.5)
    assert api.count("watch") <= 4
    assert api.count("list") == 1
