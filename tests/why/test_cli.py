"""The commands' edges: exit statuses, pods that are not there, hostile names, JSON, terminals."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.errors import SourceError
from exporter.status import cli as status
from exporter.why import cli as why
from exporter.why.from_snapshot import cases
from tests.why.fake_prometheus import FakePrometheus
from tests.why.story import Told, tell
from toolkit.errors import ConfigError
from toolkit.site import Site

POD = "summaries/doc-summarizer-66d9c7b5f8-k4tqz"
HURT = "search/reranker-7f9b54d6cc-9xgpl"


@cache
def hog() -> Told:
    return tell("mps-memory-hog", 30.0)


def answering(body: bytes) -> Callable[..., bytes]:
    def ask(site: Site, path: str, form: bytes | None = None) -> bytes:
        del site, path, form
        return body

    return ask


def changed(change: Callable[[Any], None]) -> bytes:
    document = json.loads(hog().snapshot)
    change(document)
    return json.dumps(document).encode()


def explain(body: bytes, *argv: str) -> tuple[int, str]:
    out = io.StringIO()
    return why.main(argv, {}, out, answering(body)), out.getvalue()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["chat-0"], "expected NAMESPACE/POD"),
        (["a/b/c"], "expected NAMESPACE/POD"),
        (["\x1b[31m/"], r"\x1b[31m"),
        ([POD, "--since", "5m"], "--since needs --prometheus"),
        ([POD, "--at", "2026-01-01T00:00:00Z"], "--at needs --prometheus"),
        ([POD, "--prometheus", "http://p", "--since", "0"], "expected a duration from 1m"),
        ([POD, "--prometheus", "http://p", "--at", "noon"], "expected a time such as"),
        ([POD, "--url", "http://a", "--prometheus", "http://b"], "contradict each other"),
        ([POD, "--url", "http://a", "--url", "http://b"], "expected once"),
        ([POD, "--contaner", "x"], "unknown flag --contaner"),
        ([POD, "--container", "x"], '--container "x" holds no partition; the pod\'s containers that do: vllm'),
    ],
)
def test_a_wrong_command_line_says_what_was_expected(argv: list[str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        explain(hog().snapshot, *argv)
    assert words in "\n".join(caught.value.problems)
    assert "\x1b" not in str(caught.value)


def test_a_pod_that_is_not_there_is_told_with_the_nearest_names() -> None:
    with pytest.raises(ConfigError) as caught:
        explain(hog().snapshot, "search/reranker-7f9b54d6cc-aaaaa")
    assert f"the nearest: {HURT}" in str(caught.value)
    fake = FakePrometheus(hog().pages)
    with pytest.raises(ConfigError, match=f"among the 3 pods .*the nearest: {HURT}"):
        why.main(
            ["search/reranker-7f9b54d6cc-aaaaa", "--prometheus", "http://p", "--at", str(hog().at)],
            {},
            io.StringIO(),
            fake,
        )


def test_a_pod_with_several_partitions_has_a_section_for_each_the_worst_first() -> None:
    def twice(document: Any) -> None:
        hurt = next(p for p in document["partitions"] if f"{p['namespace']}/{p['pod']}" == HURT)
        calm = json.loads(json.dumps(hurt)) | {"container": "calm"}
        for verdict in calm["guarantees"].values():
            verdict |= {"outcome": "kept", "loss": {}}
        calm["seconds"]["guarantees"] = {
            name: {"outcomes": {"kept": 30.0, "broken": 0.0, "idle": 0.0, "blind": 0.0}} for name in calm["guarantees"]
        }
        document["partitions"].insert(0, calm)

    code, out = explain(changed(twice), HURT)
    assert code == 1
    assert out.index("container reranker") < out.index("container calm")
    assert explain(changed(twice), HURT, "--container", "calm")[0] == 0


HOSTILE = "x\x1b]0;owned\x07[red]y[/]\n\u202ez$(reboot)"


def test_hostile_names_reach_neither_the_terminal_nor_a_shell() -> None:
    def rename(document: Any) -> None:
        for partition in document["partitions"]:
            partition["guarantees"]["memory"]["neighbours"] = {}
            seconds = partition["seconds"]["guarantees"]["memory"]
            if "lost_to_neighbour" in seconds:
                seconds["lost_to_neighbour"] = {f"bad/{HOSTILE}": 1.0}
            if f"{partition['namespace']}/{partition['pod']}" == POD:
                partition["pod"] = partition["owner"]["workload"] = HOSTILE
        document["node"] = HOSTILE

    code, out = explain(changed(rename), HURT)
    assert code == 1
    assert not any(letter in out for letter in "\x1b\x07\u202e")
    assert "[red]y[/]" in out
    (command,) = [line for line in out.splitlines() if line.startswith("NEXT")]
    assert "describe pod 'x" in command
    out_ = io.StringIO()
    status.main([], {}, out_, answering(changed(rename)))
    assert not any(letter in out_.getvalue() for letter in "\x1b\x07\u202e")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_has_colour_unless_it_asks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        out = Terminal()
        why.main([HURT], environ, out, answering(hog().snapshot))
        assert ("\x1b[1;31m" in out.getvalue()) is coloured
        assert "VERDICT" in out.getvalue()


def test_the_case_file_is_json_with_the_verdict_and_every_reading() -> None:
    code, out = explain(hog().snapshot, HURT, "--json")
    (one,) = json.loads(out)["cases"]
    assert code == 1
    assert one["verdict"]["guarantee"] == "memory"
    assert one["verdict"]["cause"] == "neighbour"
    assert one["case"]["key"]["pod"] == "reranker-7f9b54d6cc-9xgpl"
    assert one["case"]["spells"]["memory"]["seconds"]["broken"] == pytest.approx(16)
    assert one["case"]["used_compute"] == {"missing": "unsupported"}
    assert list(one["case"]["spells"]["memory"]["neighbours"]) == [POD]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "expected an object"),
        (b"{}", "expected a field 'node'"),
        (b"[" * 100_000, "not JSON"),
        (b'{"node": "n", "gpus": [], "devices": [], "processes": {}, "partitions": [{}]}', "expected a field 'gpu'"),
    ],
)
def test_what_is_no_snapshot_is_a_source_that_failed(body: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words):
        explain(body, POD)


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just([]), st.just({}), st.just("1e999")
)


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_snapshot_with_junk_in_it_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    document = json.loads(hog().snapshot)
    node: Any = document
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 5)) == 0:
            node[key] = data.draw(JUNK)
            break
        node = inner
    body = json.dumps(document).encode()
    try:
        found = cases(body, "http://exporter")
    except SourceError:
        return
    for case in found:
        explain(body, case.owner) if case.owner.count("/") == 1 and all(case.owner.split("/")) else None


# --- status -----------------------------------------------------------------------------------------------------------


def test_status_shows_the_worst_and_counts_the_rest() -> None:
    out = io.StringIO()
    assert status.main(["--top", "1"], {}, out, answering(hog().snapshot)) == 1
    assert "… and 2 more: 1 BREACH, 1 BLIND (--top 3 shows them)" in out.getvalue()


def test_status_of_several_exporters_tells_who_did_not_answer() -> None:
    quiet = tell("idle-tenant", 10.0).snapshot

    def ask(site: Site, path: str, form: bytes | None = None) -> bytes:
        del path, form
        if "down" in site.url:
            raise SourceError(f"{site.url}: Connection refused")
        return quiet

    out = io.StringIO()
    assert status.main(["--url", "http://up:1", "--url", "http://down:1"], {}, out, ask) == 3
    assert "not reached  http://down:1: Connection refused" in out.getvalue()
    with pytest.raises(SourceError, match=r"http://down:1.*; http://down:2"):
        status.main(["--url", "http://down:1", "--url", "http://down:2"], {}, out, ask)


def test_status_as_json_is_one_object_a_partition() -> None:
    out = io.StringIO()
    assert status.main(["--json"], {}, out, answering(hog().snapshot)) == 1
    lines = json.loads(out.getvalue())["partitions"]
    assert [line["state"] for line in lines] == ["BREACH", "BREACH", "BLIND"]
    assert lines[0]["partition"]["namespace"] in {"speech", "search"}
    assert lines[0]["broken"] == pytest.approx(16 / 30)


def test_status_of_nothing_is_no_error() -> None:
    empty = b'{"node": "n", "gpus": [], "devices": [], "processes": {}, "partitions": []}'
    out = io.StringIO()
    assert status.main([], {}, out, answering(empty)) == 0
    assert out.getvalue().startswith("0 nodes  0 GPUs  0 partitions")
