"""What a reader of the watch sees of trouble, the node's labels, and the parts of the watch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import SourceError
from exporter.model import Missing, Reason
from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_answer import split_lines
from exporter.sources.kubernetes_watch import Backoff, Timing
from tests.fakes.apiserver import FakeApiServer, eventually
from tests.ownership.cluster import FAST, NODE, failure, pod_object, read, uids, watching

Start = Callable[..., KubernetesPods]


# --- what a reader sees of trouble ---


def test_a_server_that_never_answered_is_an_error_with_its_cause(api: FakeApiServer, start: Start) -> None:
    api.stop()
    source = start()
    eventually(lambda: "refused" in failure(source).args[0])
    error = failure(source)
    assert error.reason is Reason.ERROR
    assert "list pods" in str(error)
    assert "\n" not in str(error)


def test_before_the_first_answer_pods_are_not_there_yet(api: FakeApiServer, start: Start) -> None:
    api.ends_at_once = True
    with api._changed:  # the list waits on it
        assert failure(start()).reason is Reason.NOT_YET


def test_a_store_is_believed_until_the_server_was_silent_too_long(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    api.stop()
    eventually(lambda: source._watch.state.error is not None and "refused" in str(source._watch.state.error))
    assert uids(source) == {"a"}
    with pytest.raises(SourceError, match=r"no word for \d+ s; .*refused") as caught:
        source.read(time.monotonic() + FAST.stale)
    assert caught.value.reason is Reason.SOURCE_STALE
    api.start()
    eventually(lambda: source._watch.state.error is None)
    source.read(time.monotonic() + FAST.stale - 5)


def test_a_bookmark_and_a_clean_end_are_words_from_the_server(api: FakeApiServer, start: Start) -> None:
    source = start(Timing(watch=1, retry=0.01, longest_retry=0.05))
    eventually(lambda: api.opened > 0)
    before = source._watch.state.contact
    api.bookmark()
    eventually(lambda: source._watch.state.contact > before)
    before = source._watch.state.contact
    eventually(lambda: source._watch.state.contact > before)


@pytest.mark.parametrize(
    ("status", "message", "reason", "says"),
    [
        (403, "pods is forbidden: User system:serviceaccount:x", Reason.PERMISSION, "needs list and watch"),
        (401, "Unauthorized", Reason.PERMISSION, "does not accept the credentials"),
        (500, "etcd\nis on fire", Reason.ERROR, "etcd is on fire"),
        (429, "slow down", Reason.ERROR, "slow down"),
        (404, "x" * 5000, Reason.ERROR, "is this an API server"),
    ],
)
def test_a_refused_list_is_one_line_and_is_tried_again(
    status: int, message: str, reason: Reason, says: str, api: FakeApiServer, start: Start
) -> None:
    api.refuse["list"] = (status, message)
    api.put(pod_object("a"))
    source = start()
    eventually(lambda: f"list pods: {status}" in str(failure(source)))
    error = failure(source)
    assert error.reason is reason
    assert says in str(error)
    assert "\n" not in str(error)
    assert len(str(error)) < 500
    api.refuse.clear()
    eventually(lambda: uids(source) == {"a"})


def test_a_refused_watch_is_tried_again_and_the_list_stays(api: FakeApiServer, start: Start) -> None:
    api.refuse["watch"] = (403, "watch is forbidden")
    api.put(pod_object("a"))
    source = start()
    eventually(lambda: uids(source) == {"a"} and api.count("watch") >= 3)
    assert api.count("list") == 1
    api.refuse.clear()
    api.put(pod_object("b"))
    eventually(lambda: uids(source) == {"a", "b"})


# --- the node ---


def test_the_labels_of_the_node_are_followed_without_its_status(api: FakeApiServer, start: Start) -> None:
    api.put_node(NODE, {"nvidia.com/gpu.replicas": "4"})
    source = start()
    eventually(lambda: api.opened > 0)
    eventually(lambda: read(source).node_labels == {"nvidia.com/gpu.replicas": "4"})
    api.put_node(NODE, {"nvidia.com/gpu.replicas": "8"})
    eventually(lambda: read(source).node_labels == {"nvidia.com/gpu.replicas": "8"})
    asked = [head for (path, _), head in zip(api.requests, api.headers, strict=False) if path.endswith(NODE)]
    assert all("PartialObjectMetadata" in head["accept"] for head in asked)


def test_labels_that_may_not_be_read_cost_no_pods(api: FakeApiServer, start: Start) -> None:
    api.refuse["get"] = (403, "nodes is forbidden")
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    eventually(lambda: read(source).node_labels == Missing(Reason.PERMISSION))
    api.refuse.clear()
    api.put_node(NODE, {"a": "b"})
    eventually(lambda: read(source).node_labels == {"a": "b"})


def test_labels_that_are_not_confirmed_any_more_are_stale(api: FakeApiServer, start: Start) -> None:
    api.put_node(NODE, {"a": "b"})
    api.put(pod_object("a"))
    source = start()
    watching(api, source, "a")
    eventually(lambda: read(source).node_labels == {"a": "b"})
    assert source.read(time.monotonic() + 6 * FAST.node + 1).node_labels == Missing(Reason.SOURCE_STALE)


# --- ending ---


def test_closing_ends_a_watch_that_is_quiet(api: FakeApiServer, start: Start) -> None:
    source = start()
    eventually(lambda: api.opened > 0)
    begin = time.monotonic()
    source.close()
    assert time.monotonic() - begin < 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("kubernetes-")]


# --- the parts ---


def test_a_back_off_doubles_to_its_longest_and_begins_again() -> None:
    plain = Backoff(1.0, 30.0, jitter=lambda: 0.0)
    assert [plain.next() for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]
    plain.reset()
    assert plain.next() == 1
    assert Backoff(1.0, 30.0, jitter=lambda: 1.0).next() == 0.5
    assert max(plain.next() for _ in range(2000)) == 30


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=5).filter(lambda line: b"\n" not in line and line.strip())), st.data())
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(line + b"\n" for line in lines) + b"cut off"
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=10)))
    chunks = [stream[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert list(split_lines("test", chunks)) == lines
