"""What the doctor says: golden screens of whole nodes, and a row for each way in which something can be missing."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from exporter import drift, driftwords, options
from exporter.collect import Tick
from exporter.doctor.cli import report
from exporter.doctor.drifts import drifts
from exporter.doctor.enforcers import ENFORCERS, enforcers
from exporter.doctor.modes import MODES
from exporter.doctor.privileges import PRIVILEGES, privileges
from exporter.doctor.report import State
from exporter.doctor.screen import screen
from exporter.doctor.sources import SOURCES
from exporter.doctor.standing import MONITOR, Standing
from exporter.exposition import Distribution, Rendered
from exporter.metrics import SourceHealth
from exporter.model import Missing, Partition, Reason, Sharing
from exporter.pipeline import Result
from exporter.records import Limit
from tests.drift.worlds import claimed, hooked, mps, part, set_as_promised, twice, whole
from tests.join.worlds import allocations, evidence, facts, gpu, holds, pod, pods, reading, think, use
from tests.scenarios.stage import played
from toolkit.terminal import show

SCREENS = Path(__file__).parent / "screens"

NODES: Mapping[str, float] = {
    "mig-mixed": 5,
    "mig-reshaped": 40,
    "hami-hook-off": 20,
    "kai-fractions": 20,
    "dra-claims": 5,
    "mps-memory-hog": 20,
    "rogue-process": 40,
}

ON_NODE = Standing(
    uid=0,
    host_pids=True,
    monitor="all",
    mps_program=True,
    paths={"hami": "/h", "mps": "/m", "dra": "/d/checkpoint.json"},
    found=frozenset({"hami", "mps", "dra"}),
)


def drawn(tick: Tick, standing: Standing) -> str:
    out = io.StringIO()
    show(screen(report(tick, standing)), out, {}, 130)
    return out.getvalue()


def made(result: Result) -> Tick:
    return Tick(result, (), lambda: Rendered((), (), 0))


@pytest.mark.parametrize("name", NODES)
def test_the_doctor_draws_its_golden_screen(name: str) -> None:
    found, path = drawn(played(name, NODES[name]), Standing(paths=ON_NODE.paths)), SCREENS / f"{name}.txt"
    if os.environ.get("GOLDEN") == "write":
        SCREENS.mkdir(exist_ok=True)
        path.write_text(found)
    assert path.is_file(), f"no screen {path}: run with GOLDEN=write and read it"
    assert found == path.read_text(), f"{path.name} differs: run with GOLDEN=write and read the diff"


def test_every_screen_is_drawn_by_a_test_and_fits() -> None:
    screens = list(SCREENS.glob("*.txt"))
    assert {path.stem for path in screens} == set(NODES)
    assert max(len(line) for path in screens for line in path.read_text().splitlines()) <= 130


def healthy(name: str, detail: str = "") -> SourceHealth:
    return SourceHealth(name=name, up=not detail, last_success=0.0, durations=Distribution((), (), 0.0), detail=detail)


def limited(limit: Limit | Missing) -> tuple[Partition, ...]:
    return think(*hooked(("a", part(30, 10)), ("b", part(30, 10)), limits={"a": limit})).snapshot.partitions


SET = set_as_promised(30, 10)
KUBELET, API = healthy("podresources"), healthy("kubernetes")

HAMI: dict[str, tuple[tuple[Partition, ...], list[SourceHealth], Standing, State, str]] = {
    "off": ((), [], replace(ON_NODE, paths={}), State.OFF, "nobody here needs it"),
    "nobody knows": ((), [], ON_NODE, State.UNTOLD, "who holds what is not told"),
    "off and needed": (limited(SET), [], replace(ON_NODE, paths={}), State.OFF, "without it conformance is blind"),
    "not needed": ((), [KUBELET], ON_NODE, State.UNUSED, "/h is there"),
    "not needed, not there": ((), [KUBELET], replace(ON_NODE, found=frozenset()), State.UNUSED, "/h is not there"),
    "down": (limited(SET), [healthy("hami", "/h: no such file")], ON_NODE, State.DOWN, "/h: no such file; without it"),
    "partly": (limited(SET), [healthy("hami")], ON_NODE, State.PARTLY, "read for 1 of 2 (1 unsupported)"),
    "none": (
        limited(Missing(Reason.CONTRADICTION)),
        [healthy("hami")],
        ON_NODE,
        State.MISSING,
        "read for 0 of 2 (1 contradiction, 1 unsupported)",
    ),
}


@pytest.mark.parametrize("name", HAMI)
def test_how_hamis_hook_is(name: str) -> None:
    partitions, health, standing, state, words = HAMI[name]
    row = enforcers(partitions, health, standing).rows[0]
    assert row.state == state
    assert words in row.words


def test_a_daemon_that_has_told_its_limits_is_ok_and_one_without_its_program_is_named() -> None:
    partitions = think(*mps(daemon=Limit(0.25, 20389.0 * (1 << 20)))).snapshot.partitions
    row = enforcers(partitions, [healthy("mps")], ON_NODE).rows[1]
    assert (row.state, row.words) == (State.OK, "the limits that the daemons have set: read for 2 of 2")
    row = enforcers(partitions, [], replace(ON_NODE, mps_program=False)).rows[1]
    assert row.state == State.MISSING
    assert "nvidia-cuda-mps-control is not here (NVIDIA_DRIVER_CAPABILITIES=utility,compute)" in row.words


def test_a_checkpoint_that_is_not_there_is_missing_although_its_source_is_up() -> None:
    partitions = think(*claimed()).snapshot.partitions
    there, gone = (
        enforcers(partitions, [healthy("dra")], replace(ON_NODE, found=found)).rows[2]
        for found in (frozenset({"dra"}), frozenset[str]())
    )
    assert (there.state, gone.state) == (State.OK, State.MISSING)
    assert "/d/checkpoint.json is not there" in gone.words


UNREADABLE = Missing(Reason.PERMISSION)


def claims_unread() -> Result:
    stores = [(each, each.pods) for each in claimed()]
    return think(*(replace(e, pods=replace(s, claims=UNREADABLE)) for e, s in stores if not isinstance(s, Missing)))


def foreign_pids() -> Result:
    return think(replace(whole(facts(10, "uid-a", "a-main")), processes={}))


def monitored(*, refused: bool) -> Result:
    board = gpu(1, mig=True)
    uses = {board.uuid: replace(use(), memory_used_bytes=UNREADABLE)} if refused else {}
    return think(evidence(reading([board], uses), allocations(), pods()))


def nothing() -> Result:
    return think(evidence(Missing(Reason.ERROR), Missing(Reason.ERROR), Missing(Reason.ERROR)))


def plain() -> Result:
    return think(whole(facts(10, "uid-a", "a-main")))


PRIVILEGE: dict[str, tuple[str, Result, list[SourceHealth], Standing, State, str]] = {
    "pids are placed": ("hostPID", plain(), [], Standing(), State.OK, "isolation"),
    "pids are the host's": ("hostPID", plain(), [], ON_NODE, State.OK, "isolation"),
    "pids are foreign": ("hostPID", foreign_pids(), [], ON_NODE, State.MISSING, "1 of 1 devices are blind for it"),
    "pids of a pod": ("hostPID", monitored(refused=False), [], replace(ON_NODE, host_pids=False), State.MISSING, "pids here"),
    "nobody knows of pids": ("hostPID", monitored(refused=False), [], Standing(), State.UNTOLD, ""),
    "root": ("root (uid 0)", plain(), [], ON_NODE, State.OK, "socket"),
    "nobody": ("root (uid 0)", plain(), [], replace(ON_NODE, uid=65534), State.MISSING, "uid 65534"),
    "a simulated node": ("root (uid 0)", plain(), [], Standing(), State.UNTOLD, "not this node's process"),
    "kubelet": ("PodResources socket", plain(), [KUBELET], ON_NODE, State.OK, "who holds what"),
    "no kubelet": ("PodResources socket", plain(), [], ON_NODE, State.OFF, "no partition has an owner"),
    "kubelet down": ("PodResources socket", plain(), [healthy("podresources", "x")], ON_NODE, State.MISSING, "is down"),
    "no MIG": (MONITOR, plain(), [], ON_NODE, State.UNUSED, "no GPU here is in MIG mode"),
    "no GPU": (MONITOR, nothing(), [], ON_NODE, State.UNTOLD, "no GPU is seen"),
    "claims untold": ("API: claims, slices", nothing(), [], ON_NODE, State.UNTOLD, "who holds what is not told"),
    "monitored": (MONITOR, monitored(refused=False), [], ON_NODE, State.OK, "memory"),
    "unset": (MONITOR, monitored(refused=False), [], replace(ON_NODE, monitor=""), State.OK, "is not set"),
    "refused": (MONITOR, monitored(refused=True), [], ON_NODE, State.MISSING, "1 of 1 devices refuse"),
    "api": ("API: pods, nodes", plain(), [API], ON_NODE, State.OK, "records"),
    "no api": ("API: pods, nodes", plain(), [], ON_NODE, State.OFF, "partitions are not seen"),
    "no claims": ("API: claims, slices", plain(), [], ON_NODE, State.UNUSED, "nobody here holds a claim"),
    "claims": ("API: claims, slices", think(*claimed()), [], ON_NODE, State.OK, "1 holders of claims"),
    "claims refused": ("API: claims, slices", claims_unread(), [], ON_NODE, State.MISSING, "blind for it: permission"),
}  # fmt: skip


@pytest.mark.parametrize("name", PRIVILEGE)
def test_what_a_privilege_is_here(name: str) -> None:
    title, result, health, standing, state, words = PRIVILEGE[name]
    row = next(row for row in privileges(result.snapshot, health, standing).rows if row.name == title)
    assert row.state == state
    assert words in row.words
    lost = state in {State.MISSING, State.OFF}
    assert ("Without it" in row.words) is lost


def test_each_privilege_is_tried_both_ways() -> None:
    tried = {(title, state) for title, _, _, _, state, _ in PRIVILEGE.values()}
    assert {(each.name, State.OK) for each in PRIVILEGES} <= tried
    assert {title for title, state in tried if state in {State.MISSING, State.OFF}} == {
        each.name for each in PRIVILEGES
    }


def test_tables_are_whole() -> None:
    assert set(MODES) == set(Sharing)
    assert {enforcer.flag for enforcer in ENFORCERS.values()} == {
        each.name for each in (options.HAMI, options.MPS, options.DRA)
    }
    assert not set(SOURCES) & set(ENFORCERS)
    named = {words for line in (drift.__doc__ or "").splitlines() if line.startswith("| D") for words in _ticked(line)}
    assert named == driftwords.NAMES


def _ticked(line: str) -> list[str]:
    return line.split("|")[2].replace("`", "").replace(",", " ").split()


def test_a_tenants_names_reach_no_terminal_as_they_are() -> None:
    hostile = "\x1b[2J[red]x"
    store = pods(pod("a"), pod(hostile, uid="uid-b"))
    node = whole(facts(10, "uid-a", "a-main"), facts(11, "uid-b", f"{hostile}-main"))
    text = drawn(made(think(*twice(replace(node, pods=store)))), ON_NODE)
    assert "\x1b" not in text
    assert "[red]x" in text


def test_twenty_drifts_are_shown_and_the_rest_counted() -> None:
    names = [f"p{number:02}" for number in range(30)]
    held = allocations(
        *(holds(name, f"{gpu(1).uuid}::{2 * n}", f"{gpu(1).uuid}::{2 * n + 1}") for n, name in enumerate(names))
    )
    result = think(evidence(reading([gpu(1)]), held, pods(*(pod(name) for name in names))))
    text = drawn(made(result), ON_NODE)
    assert text.count("D15 several_slots") == 20
    assert "… and 10 more, at /snapshot" in text


def test_without_its_sources_no_node_is_said_to_be_without_drifts() -> None:
    snapshot, sources = plain().snapshot, [healthy(name) for name in ("nvml", "podresources", "kubernetes", "cgroup")]
    assert drifts((), snapshot, sources).after == (
        "drifts    none: what is held, promised, enforced and attached agree",
    )
    assert drifts((), snapshot, sources[:2]).after == ("drifts    not all can be seen without kubernetes, cgroup",)
    down = [*sources[:3], healthy("cgroup", "no procfs")]
    assert drifts((), snapshot, down).after == ("drifts    not all can be seen without cgroup",)
