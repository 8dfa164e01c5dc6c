"""Recordings of a run, made small, with the verdicts that their replay must reach: they are replayed in CI, without a GPU."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.hardware import judging
from bench.hardware.context import Run
from bench.hardware.scenarios import Scenario
from exporter import policyfile
from exporter.collect import Collector, Tick
from exporter.recording.replay import Replay
from exporter.snapshot_json import snapshot_json
from exporter.witness import Clock, OverError

FOLDER: Final = "captures"

_UUID: Final = re.compile(rb"\b(GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def keep(run: Run, scenario: Scenario, recording: Path, rules: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Put a recording beside the report, without the machine's UUIDs, and what is expected of its replay."""
    folder = run.output / FOLDER
    folder.mkdir(exist_ok=True)
    kept = folder / f"{run.id}-{scenario.name}.swrec"
    tidy(recording, kept)
    expected = {
        "run": run.id,
        "scenario": scenario.name,
        "question": scenario.question,
        "policy": rules,
        "replay": essence(replayed(kept, rules)),
        "truth": {row["tenant"]: _truth(row) for row in rows},
    }
    kept.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def tidy(recording: Path, kept: Path) -> None:
    """Pack a recording as one stream, which is smaller than one that is flushed at each tick, with its UUIDs numbered."""
    numbers: dict[bytes, bytes] = {}

    def numbered(match: re.Match[bytes]) -> bytes:
        public = b"%b-00000000-0000-4000-8000-%012d" % (match[1], len(numbers) + 1)
        return numbers.setdefault(match[0], public)

    text = _UUID.sub(numbered, gzip.decompress(recording.read_bytes()))
    kept.write_bytes(gzip.compress(text, 9, mtime=0))


def replayed(recording: Path, rules: str) -> dict[tuple[str, str], judging.Said]:
    """Judge a recording anew; return what is said of its last third, as of a run that is judged live."""
    # Where the third begins has to be known first, and a recording is read forwards: it is played twice.
    ticks = sum(1 for _ in _play(recording, rules))
    middle: dict[str, Any] = {}
    end: dict[str, Any] = {}
    for number, tick in enumerate(_play(recording, rules), 1):
        if number in {ticks * 2 // 3, ticks}:
            middle, end = end, json.loads(snapshot_json(tick.result, tick.health, 0.0))
    return judging.said(middle, end)


def _play(recording: Path, rules: str) -> Iterator[Tick]:
    replay = Replay(recording)
    policy = policyfile.parse(rules)
    collector = Collector("replay", replay, policy=policy, tick=replay.tick, clock=Clock(lambda: 0.0, lambda: 0.0))
    try:
        while True:
            yield collector.run_tick()
    except OverError:
        return
    finally:
        collector.close()


def essence(said: Mapping[tuple[str, str], judging.Said]) -> dict[str, str]:
    """What a replay must reach, by tenant and guarantee: outcome, cause and neighbour in words, and no seconds."""
    return {
        f"{tenant}/{guarantee}": " ".join(filter(None, (answer.outcome, answer.cause, answer.neighbour)))
        for (tenant, guarantee), answer in sorted(said.items())
    }


def _truth(row: Mapping[str, Any]) -> dict[str, Any]:
    measured = {name: round(row[name], 4) for name in ("true_share", "entitled")}
    return {**measured, "near": row["near"], **row["expected"]}
