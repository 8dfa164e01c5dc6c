"""A recording plays back to the identical page; disguised, to the same page under other names; damaged, to one clear error."""

from __future__ import annotations

import gzip
import io
import json
import re
import types
import typing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import app, config
from exporter.collect import Collector, Tick
from exporter.model import Missing
from exporter.recording import cli
from exporter.recording.codec import UnreadableError, decode, encode
from exporter.recording.disguise import ROLES, Disguise, Plain
from exporter.recording.file import Header, Reader, Writer
from exporter.recording.patch import difference, patched
from exporter.recording.replay import Replay
from exporter.simulator import scenario
from exporter.simulator.sources import build
from exporter.witness import Clock, Hearing, OverError, Sources
from tests.scenarios.stage import Hands
from toolkit.errors import ConfigError

UNTIL = 40
HEADER = Header("0", 1.0, 0.0, disguised=False)


def recorded(name: str, path: Path, hook: Plain | Disguise, until: int = UNTIL) -> tuple[Tick, list[Hearing]]:
    """Record a scenario; return its last tick, and what was heard."""
    hands = Hands()
    node = build(scenario.load(name), 1, 0.0, sleep=lambda _: None)
    sources = Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        enforcers=node.enforcers,
        dcgm=node.dcgm,
    )
    heard: list[Hearing] = []
    clock = Clock(hands.monotonic, hands.wall)
    collector = Collector("node-1", sources, clock=clock, patience=30.0, heard=heard.append)
    writer = Writer(path, HEADER, hook)
    tick = None
    for second in range(until):
        hands.now = float(second)
        tick = collector.run_tick()
        writer.append(heard[-1])
    writer.close()
    collector.close()
    assert tick is not None
    return tick, heard


def replayed(path: Path) -> Tick:
    collector = Collector("another", Replay(path), clock=Clock(lambda: 7.0, lambda: 7.0))
    tick = None
    while True:
        try:
            tick = collector.run_tick()
        except OverError:
            assert tick is not None
            return tick


def page(tick: Tick) -> str:
    """The page without how long our own ticks took: the clock of a replay is not that of the node."""
    return re.sub(rb"slicewatch_tick_duration_seconds.*\n", b"", tick.rendered.text).decode()


@pytest.mark.parametrize("name", scenario.names())
def test_a_recording_plays_back_to_the_identical_page(name: str, tmp_path: Path):
    tick, _ = recorded(name, tmp_path / "r", Plain())
    assert page(replayed(tmp_path / "r")) == page(tick)


@pytest.mark.parametrize("name", scenario.names())
def test_disguised_it_says_the_same_of_others(name: str, tmp_path: Path):
    tick, _ = recorded(name, tmp_path / "r", Disguise(b"salt"))
    ours, theirs = page(tick), page(replayed(tmp_path / "r"))
    assert values(ours) == values(theirs)
    secret = set(re.findall(r'(?:gpu|device|namespace|pod|container|workload|node|pod_uid)="([^"]+)"', ours))
    text = gzip.decompress((tmp_path / "r").read_bytes()).decode()
    shown = {name for name in secret if f'"{name}"' in text or f'"{name}::' in text}
    assert len(secret) > 5
    assert shown == set()


def values(text: str) -> dict[str, list[str]]:
    """Each family's values with the labels that no disguise touches, in an order of their own."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition("{")
            kept = re.sub(
                r'(gpu|device|namespace|pod|container|workload|node|pod_uid|neighbour_\w+)="[^"]*",?', "", rest
            )
            labels, _, value = kept.rpartition(" ")
            # A microjoule that cannot be split goes to the first by name: another one, under other names.
            found.setdefault(name, []).append(f"{labels} {float(value):.4f}")
    return {name: sorted(rows) for name, rows in found.items()}


def test_what_was_heard_comes_back_equal(tmp_path: Path):
    _, heard = recorded("demo", tmp_path / "r", Plain())
    assert list(Reader(tmp_path / "r")) == heard
    assert Reader(tmp_path / "r").header == HEADER


def test_two_recordings_of_one_node_share_no_pseudonym(tmp_path: Path):
    recorded("demo", tmp_path / "a", Disguise(b"one"), 2)
    recorded("demo", tmp_path / "b", Disguise(b"two"), 2)
    first, second = (next(iter(Reader(tmp_path / one))).evidence for one in "ab")
    assert first.node != second.node
    assert not isinstance(first.driver, Missing)
    assert not isinstance(second.driver, Missing)
    assert not set(first.driver.gpus) & set(second.driver.gpus)


def texts(kind: Any, owner: tuple[type, str] | None, seen: set[Any]) -> Iterator[tuple[type, str]]:
    """Every field of the types under a type in which a text can stand."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if isinstance(kind, typing.NewType):
        yield from texts(kind.__supertype__, owner, seen)
    elif kind is str and owner is not None:
        yield owner
    elif isinstance(kind, type) and is_dataclass(kind):
        if kind not in seen and kind is not Missing:
            seen.add(kind)
            hints = typing.get_type_hints(kind)
            for field in fields(kind):
                yield from texts(hints[field.name], (kind, field.name), seen)
    elif origin is not None and issubclass(origin if isinstance(origin, type) else types.UnionType, typing.Mapping):
        if typing.get_origin(arguments[0]) is tuple and owner is not None:
            yield from ((owner[0], f"{owner[1]}.{number}") for number in range(len(typing.get_args(arguments[0]))))
            yield from texts(arguments[1], owner, seen)
        else:
            for one in arguments:
                yield from texts(one, owner, seen)
    else:
        for one in arguments:
            yield from texts(one, owner, seen)


def test_every_text_of_the_model_has_a_role():
    assert set(texts(Hearing, None, set())) <= set(ROLES)


def test_what_has_no_role_is_not_recorded():
    with pytest.raises(KeyError):
        Disguise(b"s").text(Header, "version", "secret")


trees = st.recursive(
    st.one_of(st.booleans(), st.integers(-5, 5), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from("abcd"), trees), st.dictionaries(st.sampled_from("abcd"), trees))
def test_a_patch_makes_the_after_of_the_before(before: dict[str, Any], after: dict[str, Any]):
    made = patched(before, json.loads(json.dumps(difference(before, after))))
    assert made == after
    assert difference(after, after) == {}


@settings(deadline=None)  # it reads a whole recording each time
@given(st.floats(0, 1))
def test_a_file_that_was_cut_is_whole_up_to_a_tick(part: float):
    whole = CUT[0]
    cut = CUT[1].with_name("cut")
    cut.write_bytes(whole[: max(CUT[2], int(len(whole) * part))])
    found = list(Reader(cut))
    assert found == CUT[3][: len(found)]
    if part > 0.9:
        assert len(found) > len(CUT[3]) // 2


@pytest.fixture(scope="module", autouse=True)
def _cut(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cut") / "r"
    writer = Writer(path, HEADER, Plain())
    head = path.stat().st_size
    writer.close()
    path.unlink()
    _, heard = recorded("demo", path, Plain(), 10)
    CUT[:] = [path.read_bytes(), path, head, heard]


CUT: list[Any] = []


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def rewritten(path: Path, found: list[Any]) -> None:
    path.write_bytes(gzip.compress(b"".join(json.dumps(one).encode() + b"\n" for one in found)))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no recording"),
        (b"hello", "damaged, or no recording"),
        (gzip.compress(b"hello\n", mtime=0), "no recording"),
        (
            gzip.compress(b'{"slicewatch-recording": 2}\n', mtime=0),
            "a recording of format 2; this slicewatch reads format 1",
        ),
        (gzip.compress(b'{"slicewatch-recording": 1}\n', mtime=0), "no recording"),
    ],
)
def test_what_is_no_recording_is_told(content: bytes, said: str, tmp_path: Path):
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{tmp_path / 'r'}: {said}"):
        Reader(tmp_path / "r")


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        Reader(tmp_path / "none")


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"evidence": {"at": "soon"}}, r'tick 3: tick.evidence.at: "soon"; expected a number'),
        ({"evidence": {"more": 1}}, "Evidence has no 'more': the file is of another version"),
        ({"evidence": None}, "expected a whole Hearing"),
        ({"health": [{"up": 1}]}, r"tick.health\[0\].up: 1; expected true or false"),
        ({"evidence": {"driver": {"missing": "tired"}}}, '"tired"; expected one of unsupported'),
        ({"evidence": {"processes": {"x": {}}}}, '"x"; expected a whole number'),
    ],
)
def test_a_damaged_tick_is_told_with_its_number_and_place(patch: Any, said: str, tmp_path: Path):
    recorded("demo", tmp_path / "r", Plain(), 4)
    found = lines(tmp_path / "r")
    if "driver" in str(patch):
        patch["evidence"]["driver"] |= dict.fromkeys(found[1]["evidence"]["driver"])
        patch["evidence"]["driver"]["missing"] = "tired"
    found[3] = patch
    rewritten(tmp_path / "r", found)
    with pytest.raises(ConfigError, match=said):
        list(Reader(tmp_path / "r"))


@given(trees)
def test_any_tree_is_read_or_refused(tree: Any):
    with pytest.raises(UnreadableError):
        decode(Hearing, tree)


def test_a_line_that_never_ends_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("exporter.recording.file._LONGEST", 1 << 16)
    (tmp_path / "r").write_bytes(gzip.compress(b"{" + b" " * (1 << 22)))
    with pytest.raises(ConfigError, match="is no tick"):
        Reader(tmp_path / "r")


def test_a_value_of_no_known_kind_is_refused():
    with pytest.raises(TypeError):
        encode(Header("0", 1j, 0.0, disguised=False), Plain())  # type: ignore[arg-type]


def run(*argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return app.run(argv, {}, out, err), out.getvalue(), err.getvalue()


def test_the_command_records_and_the_exporter_plays_it(tmp_path: Path):
    file = str(tmp_path / "node.swrec")
    simulated = ("--source=simulator", "--simulator.scenario=time-slicing-hog", "--tick=100ms")
    status, said, _ = run("record", f"--output={file}", "--duration=1s", *simulated)
    assert status == 0
    assert re.search(r"node\.swrec: \d+ ticks of \d+ partitions, [\d,]+ bytes; names and UUIDs are disguised", said)
    status, text, _ = run("exporter", "--source=replay", f"--replay.file={file}", "--once")
    assert status == 0
    assert text.count("gpu_partition_info{") == int(re.findall(r"of (\d+) partitions", said)[0])
    assert 'node="node-' in text
    status, _, err = run("record", f"--output={file}", *simulated)
    assert status == 2
    assert "cannot be made: File exists" in err
    assert run("doctor", "--source=replay", f"--replay.file={file}")[0] == 0


def test_a_source_that_is_down_is_recorded_as_down(tmp_path: Path):
    file = str(tmp_path / "r")
    argv = ["--duration=1s", "--tick=500ms", f"--output={file}", "--podresources.socket=/nowhere", "--kubernetes=off"]
    out, err = io.StringIO(), io.StringIO()
    status = cli.main([*argv, "--path.procfs=/nowhere"], {}, out, err)
    assert status == 3
    assert "nvml:" in err.getvalue()
    last = list(Reader(Path(file)))[-1]
    assert isinstance(last.evidence.driver, Missing)
    assert {one.name: one.detail for one in last.health}["nvml"] == "not recorded"


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--source=replay"], "--source replay needs --replay.file: expected a recording"),
        (["--replay.file=x"], "--replay.file needs source replay, and source is nvml (by default)"),
        (["--source=replay", "--replay.file=x", "--simulator.seed=2"], "--simulator.seed needs source simulator"),
    ],
)
def test_flags_that_contradict_are_refused(flags: list[str], said: str):
    with pytest.raises(ConfigError, match=re.escape(said)):
        config.parse(flags, {}, lambda: "n1")


@pytest.mark.parametrize(
    ("flags", "said"), [([], "--output is missing"), (["--output=x", "--duration=2h"], "--duration")]
)
def test_record_refuses_what_makes_no_sense(flags: list[str], said: str):
    status, _, err = run("record", *flags)
    assert status == 2
    assert said in err
