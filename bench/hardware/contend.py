"""One scenario on the real device: tenants run and measure, the exporter judges beside them, both are laid side by side."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bench.hardware import capture, judging, mps, tenants, timeline
from bench.hardware.children import Child, Crew
from bench.hardware.context import Run
from bench.hardware.exporter import Exporter, record
from bench.hardware.node import Node
from bench.hardware.rows import Answers, Measured, rows
from bench.hardware.scenarios import Scenario
from bench.hardware.tenants import Member
from bench.hardware.timeline import Line

_SETTLES: Final = 2.5
"""Seconds that exporter and recorder are given to see the node at rest before anybody runs."""

_RECORDER_ENDS: Final = 60.0

_BEFORE_THE_END: Final = 0.5
"""The last snapshot is taken while everybody still runs."""


def policy(scenario: Scenario, window: float) -> str:
    """Return the policy file of a scenario."""
    lines = ["apiVersion: slicewatch/v1", "kind: Policy", "compute:", f"  window: {round(window * 1000)}ms"]
    if scenario.fair_memory:
        lines += ["timeSlicing:", "  memory: fair"]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class _Played:
    """What one scenario left behind. `lines` are of the part that is judged."""

    members: Sequence[Member]
    results: Sequence[dict[str, Any]]
    said: Answers
    lines: Sequence[Line]
    doubts: Mapping[str, float]
    recorded: bool


def contend(run: Run, scenario: Scenario) -> dict[str, Any]:
    """Play a scenario; return its rows. Raises ChildError and MpsError with what is wrong."""
    folder = run.folder(scenario.name)
    rules = policy(scenario, run.lengths.window)
    recording = folder / "node.swrec"
    played = _play(run, scenario, folder, rules, recording if scenario.capture else None)
    found = rows(scenario, _measured(run, scenario, played), played.said)
    if played.recorded:
        capture.keep(run, scenario, recording, rules, found)
    told = {"rows": found, "results": played.results, "watch": played.lines[-20:]}
    tenants.save(run.output / f"{scenario.name}.json", told)
    return {
        "scenario": scenario.name,
        "question": scenario.question,
        "rows": found,
        "listed": all(member.pid is not None for member in played.members),
        "same_pids": all(member.pid == member.child.pid for member in played.members),
        "watch": timeline.figures(played.lines),
        "doubts": played.doubts,
        "recorded": played.recorded,
    }


def _play(run: Run, scenario: Scenario, folder: Path, rules: str, recording: Path | None) -> _Played:
    lead, seconds = run.lengths.lead, run.lengths.scenario
    with ExitStack() as stack:
        variables = mps.start(stack, folder) if scenario.sharing == "mps" else {}
        crew = stack.enter_context(Crew(folder, run.variables))
        node = Node(folder, run.gpu, sharing=scenario.sharing, replicas=scenario.replicas, policy=rules)
        stack.enter_context(node)
        for tenant in scenario.tenants:
            if tenant.holds:
                node.run_pod(tenant.name)
        exporter = Exporter(crew, node.flags())  # it comes up while the tenants do
        watched = tenants.watch(crew, run, folder / "watch.jsonl")
        members = _start(crew, run, scenario, watched, variables)
        tenants.place(node, members, timeline.pids(timeline.read(watched)[-1]))
        exporter.ready()
        begin = time.monotonic() + _SETTLES
        recorder = None if recording is None else record(crew, node.flags(), recording, seconds + _SETTLES)
        tenants.go(run, members, begin, seconds)
        tenants.await_until(begin + lead)
        middle = exporter.snapshot()
        tenants.await_until(begin + seconds - _BEFORE_THE_END)
        end = exporter.snapshot()
        page = exporter.metrics()
        results = tenants.heard(members, seconds)
        recorded = recorder is not None and _ended(recorder)
        lines = timeline.within(timeline.read(watched), begin + lead, begin + seconds)
    (run.output / f"{scenario.name}.prom").write_text(page, encoding="utf-8")
    return _Played(members, results, judging.said(middle, end), lines, judging.doubts(page), recorded)


def _ended(recorder: Child) -> bool:
    """Wait for the recorder, which ends by itself; a scenario is not lost with its recording."""
    try:
        recorder.process.wait(_RECORDER_ENDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _start(crew: Crew, run: Run, scenario: Scenario, watched: Path, variables: Mapping[str, str]) -> list[Member]:
    return [
        tenants.start(crew, run, tenant, watched, number, **mps.client(variables, tenant.threads))
        for tenant in scenario.tenants
        for number in range(tenant.demand.processes)
    ]


def _measured(run: Run, scenario: Scenario, played: _Played) -> dict[str, Measured]:
    found = {}
    for tenant in scenario.tenants:
        own = [
            (member, result)
            for member, result in zip(played.members, played.results, strict=True)
            if member.tenant is tenant
        ]
        results = [result for _, result in own]
        kernel = tenant.demand.kernel
        shares = [tenants.share(result, kernel, run.lengths.lead, run.lengths.scenario) for result in results]
        sampled = [
            value
            for member, _ in own
            if member.pid is not None and (value := timeline.share(played.lines, member.pid)) is not None
        ]
        told = sum(sampled) if len(sampled) == len(own) else None
        found[tenant.name] = Measured(sum(shares), tenants.think(results, tenant), told)
    return found
