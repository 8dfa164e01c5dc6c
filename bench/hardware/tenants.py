"""Tenants on the device: started one after the other, found in the driver's list, put into their pods, run, heard."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.hardware import timeline
from bench.hardware.children import Child, Crew
from bench.hardware.context import Run
from bench.hardware.demand import Kind
from bench.hardware.node import Node, outside
from bench.hardware.scenarios import Tenant

START: Final = 60.0
"""Seconds in which a context has to come up: the first one loads the driver and compiles the kernels."""

_SETTLED: Final = 0.4
"""Seconds: a few readings of the watch."""

_POLL: Final = 0.05
_HEADROOM: Final = 30.0


@dataclass(frozen=True, slots=True)
class Member:
    """One process of a tenant. `pid` is its pid as the driver says it, None where the driver does not list it."""

    tenant: Tenant
    child: Child
    pid: int | None


def watch(crew: Crew, run: Run, path: Path, *, gpm: bool = False) -> Path:
    """Start watching the device; return where it writes, once it does."""
    mode = "gpm" if gpm else "plain"
    child = crew.python("watch", "bench.hardware.watch", run.gpu, str(path), run.lifetime, mode)
    child.hear(START)
    _until(lambda: bool(timeline.read(path)), START)
    return path


def start(crew: Crew, run: Run, tenant: Tenant, watched: Path, number: int = 0, **variables: str) -> Member:
    """Start one process of a tenant, and find out by which pid the driver knows it."""
    before = timeline.pids(timeline.read(watched)[-1])
    name = f"{tenant.name}-{number}"
    child = crew.python(name, "bench.hardware.tenant", run.gpu, run.lifetime, **variables)
    child.hear(START)
    if tenant.demand.memory:
        child.say({"do": "hold", "part": tenant.demand.memory})
        child.hear(START)
    return Member(tenant, child, _known_as(run, child.pid, watched, before))


def _known_as(run: Run, own: int, watched: Path, before: set[int]) -> int | None:
    """Return the pid by which the driver lists a process that has just started; None where it does not.

    In another pid namespace its number is another one; who has just come is known all the same, if nobody else came.
    """
    end, fresh = time.monotonic() + run.appears, set[int]()
    while own not in fresh and time.monotonic() < end:
        if fresh:
            end = min(end, time.monotonic() + _SETTLED)  # so that a list that is being filled is seen whole
        time.sleep(_POLL)
        fresh = timeline.pids(timeline.read(watched)[-1]) - before
    if own in fresh:
        return own
    if not fresh:
        run.appears = _SETTLED  # where one is not listed, the next will not be either
    return fresh.pop() if len(fresh) == 1 else None


def place(node: Node, members: Sequence[Member], others: set[int]) -> None:
    """Put every member into its pod, and whatever else is on the device outside of all."""
    for member in members:
        pod = member.tenant.name if member.tenant.holds else None
        node.place(member.child.pid if member.pid is None else member.pid, pod, real=member.child.pid)
    for pid in others - {member.pid for member in members}:
        if not outside(pid):
            node.place(pid, None)


def go(run: Run, members: Sequence[Member], begin: float, seconds: float) -> None:
    """Let them all begin at one moment of monotonic time."""
    for member in members:
        demand = member.tenant.demand
        member.child.say(
            {
                "do": "run",
                "start": begin,
                "seconds": seconds,
                "rounds": run.rounds(demand.kernel),
                "kind": demand.kind.value,
                "burst": demand.burst,
                "think": demand.think,
                "streams": demand.streams,
                "sms": run.sms,
            }
        )


def heard(members: Sequence[Member], seconds: float) -> list[dict[str, Any]]:
    """Return what each measured."""
    return [member.child.hear(seconds + _HEADROOM) for member in members]


def share(result: dict[str, Any], kernel: float, begin: float, end: float) -> float:
    """Return the part of the device's time that a member's kernels took in whole seconds from `begin` to `end`."""
    bins = result["bins"][int(begin) : int(end)]
    return float(sum(bins) * kernel / len(bins)) if bins else 0.0


def think(results: Sequence[dict[str, Any]], tenant: Tenant) -> float:
    """Return the mean pause between bursts as measured; as planned where there was none."""
    told = [result["think"] for result in results if result["bursts"]]
    return sum(told) / len(told) if told and tenant.demand.kind is Kind.CLOSED else tenant.demand.think


def await_until(when: float) -> None:
    """Wait until a moment of monotonic time."""
    while (left := when - time.monotonic()) > 0:
        time.sleep(left)


def save(path: Path, found: object) -> None:
    """Write JSON."""
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _until(condition: Any, within: float) -> bool:
    end = time.monotonic() + within
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_POLL)
    return True
