"""Small case files made by hand, for tables of verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.catalogue import PartitionKey
from exporter.model import Enforcer, Promise, PromiseClass, Promised, PromiseSource, Sharing, Throttle
from exporter.verdict import Cause, Evidence, Guarantee, Neighbour, Outcome
from exporter.why.case import UNTOLD, Basis, Case, Crowd, Health, Spell, User, Who, Window

GIB = 1024.0**3
KEY = PartitionKey("GPU-1", "GPU-1", "ml", "chat-0", "server")
HOG: Neighbour = ("batch", "train-7")


_CROWD = Crowd(
    users=(
        User(who=Who.YOU, name="you", compute=0.3, memory=8 * GIB, promised=0.25, processes=1.0),
        User(who=Who.NEIGHBOUR, name="batch/train-7", compute=0.6, memory=9 * GIB, promised=0.25, processes=3.0),
    ),
    basis=Basis.MEAN,
    rest=0.1,
    complete=True,
    memory_total=46 * GIB,
    memory_free=28 * GIB,
)


def spell(
    kept: float = 0.0,
    broken: float = 0.0,
    idle: float = 0.0,
    blind: float = 0.0,
    *,
    now: Outcome | None = Outcome.KEPT,
    lost: Mapping[Cause, float] | None = None,
    neighbours: Mapping[Neighbour, float] | None = None,
    reasons: Mapping[Any, float] | None = None,
) -> Spell:
    seconds = dict(zip(Outcome, (kept, broken, idle, blind), strict=True))
    return Spell(seconds=seconds, lost=lost or {}, neighbours=neighbours or {}, blind=reasons or {}, now=now)


def promised(amount: float, klass: PromiseClass = PromiseClass.DECLARED) -> Promised:
    return Promised(amount=amount, klass=klass, enforcer=Enforcer.NOBODY, source=PromiseSource.PLUGIN_CONFIG)


def case(**changes: Any) -> Case:
    """A time slice of a quarter, seen for 100 s, with everything kept; then changed."""
    plain = Case(
        key=KEY,
        node="n1",
        gpu_index="2",
        device_index="2",
        model="NVIDIA L40S",
        attached_profile="",
        workload_kind="StatefulSet",
        workload="chat",
        resource="nvidia.com/gpu",
        sharing=Sharing.TIME_SLICING,
        slots=1,
        promised_profile="",
        promise=Promise(compute=promised(0.25)),
        holders=4.0,
        replicas=4.0,
        gone=False,
        spells={},
        entitled=UNTOLD,
        delivered=UNTOLD,
        used_compute=0.3,
        mean_used=0.3,
        used_memory=8 * GIB,
        obtainable_memory=20 * GIB,
        evidence=Evidence.APPETITE,
        window=Window(100.0),
        health=Health(clock_hertz=2e9, clock_max_hertz=2e9, throttle=frozenset[Throttle]()),
        crowd=_CROWD,
    )
    spells: dict[Guarantee, Spell] = {
        guarantee: spell(kept=100.0)
        for guarantee in (Guarantee.AVAILABILITY, Guarantee.CONFORMANCE, Guarantee.COMPUTE, Guarantee.ISOLATION)
    }
    spells |= changes.pop("spells", {})
    return replace(plain, spells=spells, **changes)
