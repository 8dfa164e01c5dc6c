"""Who is asked what is set: only for those who hold partitions, only where somebody needs it, and not without bound."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import pytest

from exporter.catalogue import SOURCE_READ_DURATION
from exporter.errors import SourceError
from exporter.ids import ClaimId, GpuId
from exporter.model import Allocation, Allocations, Missing, ProcessKind, Reason
from exporter.readback import Enforcers, Moment, ReadBack, Told
from exporter.records import Claim, ClaimResult, Claims, DaemonKey, Grant, HookKey, Limit, Prepared, Published
from exporter.watched import Watched
from tests.drift.worlds import claimed, part
from tests.join.worlds import allocations, gpu, gpu_id, holds, pod, pods, process, reading, use

GPU1 = gpu_id(1)
LIMIT = Limit(0.3, 1.0)


@dataclass
class Hooks:
    asked: list[HookKey] = field(default_factory=list)

    def read(self, asked: Collection[HookKey], now: float) -> Mapping[HookKey, Limit | Missing]:
        del now
        self.asked = list(asked)
        return dict.fromkeys(asked, LIMIT)

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Daemons:
    fails: bool = False
    asked: list[int] = field(default_factory=list)
    claims: Mapping[str, Collection[str]] = field(default_factory=dict)

    def read(
        self, gpus: Collection[int], claims: Mapping[str, Collection[str]], now: float
    ) -> Mapping[DaemonKey, Limit | Missing]:
        del now
        self.asked, self.claims = list(gpus), claims
        if self.fails:
            raise SourceError("no answer in time", Reason.TIMEOUT)
        return {("nvidia.com/gpu", "1"): LIMIT}

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Checkpoint:
    asked: int = 0

    def read(self, now: float) -> tuple[Prepared, ...]:
        del now
        self.asked += 1
        return ()

    def close(self) -> None:
        """Nothing is open."""


class Asked:
    """The read-back on three enforcers, asked once."""

    def __init__(self, **more: object) -> None:
        self.hooks, self.daemons, self.checkpoint = Hooks(), Daemons(**more), Checkpoint()  # type: ignore[arg-type]
        enforcers = Enforcers(hooks=self.hooks, daemons=self.daemons, prepared=self.checkpoint)
        self._read_back = ReadBack(
            enforcers, lambda name, read, terms: Watched(name, read, terms, lambda: 0.0, SOURCE_READ_DURATION.buckets)
        )

    def hear(self, **world: object) -> Told:
        facts: dict[str, object] = {
            "driver": reading([gpu(1)]),
            "allocations": allocations(),
            "pods": pods(),
            "holders": {("team", "a"), ("team", "b")},
        }
        return self._read_back.hear(Moment(0.0, 0.0, 5.0), **{**facts, **world})  # type: ignore[arg-type]

    @property
    def up(self) -> dict[str, bool]:
        return {each.name: each.up for each in self._read_back.health(0.0)}

    def close(self) -> None:
        self._read_back.close(1.0)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_nobody_is_asked_where_nobody_needs_it(asked: Asked) -> None:
    told = asked.hear(pods=pods(pod("a")), allocations=allocations(holds("a", GPU1)))
    assert (told.hooks, told.daemons, told.prepared, asked.up) == ({}, {}, (), {})
    asked.close()


def test_the_hooks_of_those_who_hold_partitions_are_asked(asked: Asked) -> None:
    other = pod("stranger", grants=(part(10, 1),))
    ended = pod("b", phase="Succeeded", grants=(part(10, 1),))
    told = asked.hear(pods=pods(pod("a", grants=(part(10, 1),)), ended, other))
    assert told.hooks == {("uid-a", "main", GPU1): LIMIT}
    assert asked.up == {"hami": True}
    asked.close()


def test_a_pod_with_a_long_record_does_not_use_up_what_its_neighbours_are_read_by(asked: Asked) -> None:
    def flood(container: str) -> tuple[Grant, ...]:
        return tuple(replace(part(1, 1), container=container, device=GpuId(gpu_id(n))) for n in range(2000))

    told = asked.hear(pods=pods(pod("a", grants=flood("x") + flood("y")), pod("b", grants=(part(10, 1),))))
    assert told.hooks[("uid-b", "main", GPU1)] == LIMIT
    assert len(told.hooks) == 64 + 1
    asked.close()


def test_the_daemons_are_asked_by_the_nodes_label_or_by_the_drivers_clients(asked: Asked) -> None:
    labels = {"nvidia.com/gpu.sharing-strategy": "mps"}
    assert asked.hear(pods=pods(labels=labels)).daemons == {("nvidia.com/gpu", "1"): LIMIT}
    asked.close()
    other = Asked()
    client = use((process(10, kind=ProcessKind.MPS),))
    assert other.hear(driver=reading([gpu(1)], {GPU1: client})).daemons == {("nvidia.com/gpu", "1"): LIMIT}
    assert other.daemons.asked == [1]
    other.close()


def test_the_daemons_of_claims_that_ask_for_mps_are_asked_for_their_devices(asked: Asked) -> None:
    device = ClaimId("team", "c", "gpu.nvidia.com", "n1", "gpu-1")
    result = ClaimResult(request="gpu", driver="gpu.nvidia.com", pool="n1", device="gpu-1", strategy="MPS", threads=0.4)
    known = Claims(
        items=tuple(Claim(uid=f"uid-{n}", namespace="team", name=n, results=(result,)) for n in ("c", "elsewhere")),
        published=(Published(driver="gpu.nvidia.com", pool="n1", name="gpu-1", uuid=GPU1),),
    )
    held = Allocations(
        serial=1,
        items=(Allocation("team", "a", "main", "gpu.nvidia.com", device),),
        allocatable=Missing(Reason.UNSUPPORTED),
    )
    asked.hear(allocations=held, pods=replace(pods(pod("a")), claims=known))
    assert asked.daemons.claims == {"uid-c": frozenset({GPU1})}
    asked.close()


def test_a_daemon_that_does_not_answer_is_down_and_tells_nothing() -> None:
    asked = Asked(fails=True)
    assert asked.hear(pods=pods(labels={"cloud.google.com/gke-gpu-sharing-strategy": "mps"})).daemons == {}
    assert asked.up == {"mps": False}
    asked.close()


def test_the_checkpoint_is_read_while_somebody_holds_a_claim(asked: Asked) -> None:
    held = claimed()[0].allocations
    assert isinstance(held, Allocations)
    assert isinstance(held.items[0].device, ClaimId)
    asked.hear(allocations=held)
    assert (asked.checkpoint.asked, asked.up) == (1, {"dra": True})
    asked.close()


def test_what_is_switched_off_is_not_configured() -> None:
    read_back = ReadBack(Enforcers(), lambda *_: pytest.fail("nothing is watched"))
    store = pods(pod("a", grants=(part(10, 1),)))
    told = read_back.hear(Moment(0.0, 0.0, 1.0), reading([gpu(1)]), allocations(), store, {("team", "a")})
    assert told.hooks == {("uid-a", "main", GPU1): Missing(Reason.NOT_CONFIGURED)}
    read_back.close(1.0)
