"""The steps that only read, and those that measure the board and the driver rather than the judge."""

from __future__ import annotations

import itertools
import time
from typing import Any, Final

from bench.hardware import exporter, smi, tenants, timeline
from bench.hardware.children import Child, Crew
from bench.hardware.context import Run
from bench.hardware.demand import Demand, Kind
from bench.hardware.exporter import Exporter
from bench.hardware.node import Node
from bench.hardware.scenarios import HOG, Tenant
from bench.hardware.tenants import START

_SPARE: Final = 60.0
_SOON: Final = 0.4
_WARM: Final = 0.5
_RULES: Final = "apiVersion: slicewatch/v1\nkind: Policy\n"


def read(run: Run) -> dict[str, Any]:
    """Run `exporter --once` and `doctor` on the real driver, keep what they write, and compare with nvidia-smi."""
    folder = run.folder("read")
    node = Node(folder, run.gpu, sharing="exclusive", replicas=1, policy=_RULES)
    with node, Crew(folder, run.variables) as crew:
        node.run_pod("only")
        flags = node.flags()
        once, page = exporter.command(crew, "once", ["exporter", "--once", *flags])
        doctor, words = exporter.command(crew, "doctor", ["doctor", *flags])
        (run.output / "once.prom").write_text(page, encoding="utf-8")
        (run.output / "doctor.txt").write_text(words, encoding="utf-8")
        serving = Exporter(crew, flags)
        serving.ready()
        snapshot = serving.snapshot()
    tenants.save(run.output / "snapshot.json", snapshot)
    found = {"once": once, "doctor": doctor, "board": _board(snapshot, run.gpu)}
    try:
        said = smi.ask(run.gpu)
    except OSError as error:
        return {**found, "smi": [], "smi_missing": str(error)}
    return {**found, "smi": smi.compare(said, snapshot, run.gpu)}


def calls(run: Run) -> dict[str, Any]:
    """Time every call of the driver's source: at rest, and while a tenant keeps the device busy."""
    found: dict[str, Any] = {}
    for name in ("idle",) if run.only_read else ("idle", "busy"):
        with Crew(run.folder(f"calls-{name}"), run.variables) as crew:
            if name == "busy":
                child = _tenant(crew, run)
                _run(run, child, HOG, run.lengths.calls + _SPARE)
            found[name] = crew.python("probe", "bench.hardware.probe", str(run.lengths.calls)).hear(
                run.lengths.calls + _SPARE
            )
    return found


def calibrate(run: Run) -> dict[str, Any]:
    """Find the rate alone: rounds of work a second, with nobody else on the device. All truths hang on it."""
    with Crew(run.folder("calibrate"), run.variables) as crew:
        child = crew.python("calibrate", "bench.hardware.tenant", run.gpu, run.lifetime)
        ready = child.hear(START)
        rates = []
        for _ in range(3):
            child.say({"do": "calibrate", "seconds": run.lengths.calibrate / 2})
            rates.append(child.hear(run.lengths.calibrate + _SPARE)["rounds_per_second"])
    run.sms = ready["sms"]
    run.rounds_per_second = max(rates)  # what hinders the device or the host can only take away from it
    return {"rounds_per_second": rates, "sms": ready["sms"], "cuda": ready["cuda"]}


DUTIES: Final = (
    ("one percent", Demand(kind=Kind.CLOSED, burst=1, think=0.198), 1.0),
    ("a quarter", Demand(kind=Kind.CLOSED, burst=10, think=0.06), 1.0),
    ("half", Demand(kind=Kind.CLOSED, burst=10, think=0.02), 1.0),
    ("all of it", HOG, 1.0),
    ("all of it, on a quarter of the SMs", HOG, 0.25),
)
"""Loads of one tenant that is alone: by name, its demand, and the part of the SMs that its kernels fill."""


def duty(run: Run) -> dict[str, Any]:
    """Let one tenant work a known part of the time, and read every signal of how busy the device is."""
    folder = run.folder("duty")
    rows = []
    with Crew(folder, run.variables) as crew:
        watched = tenants.watch(crew, run, folder / "watch.jsonl", gpm=True)
        tenants.await_until(time.monotonic() + run.lengths.duty / 2)
        at_rest = timeline.read(watched)
        member = tenants.start(crew, run, Tenant(name="duty", demand=HOG), watched)
        for name, demand, fill in DUTIES:
            begin = time.monotonic() + _SOON
            _run(run, member.child, demand, run.lengths.duty, fill=fill)
            result = member.child.hear(run.lengths.duty + _SPARE)
            lines = timeline.within(timeline.read(watched), begin + run.lengths.duty / 4, begin + run.lengths.duty)
            # The rate alone is of kernels on all SMs; on fewer the same kernel takes less time or as long, not known.
            truth = result["kernels"] * demand.kernel / run.lengths.duty if fill == 1.0 else None
            rows.append({"load": name, "truth": truth, **_signals(lines, member.pid)})
    return {"rows": [{"load": "at rest", "truth": 0.0, **_signals(at_rest, None)}, *rows]}


def _signals(lines: list[timeline.Line], pid: int | None) -> dict[str, Any]:
    clocks = timeline.numbers(lines, "clock")
    reasons = sorted({line["reasons"] for line in lines if isinstance(line["reasons"], int)})
    return {
        "utilisation": timeline.mean(timeline.numbers(lines, "utilisation")),
        "samples": None if pid is None else timeline.share(lines, pid),
        "gpm_refused": timeline.refusal([line for line in lines if line.get("gpm") is not None], "gpm"),
        **{f"gpm_{name}": timeline.mean(timeline.gpm(lines, metric)) for metric, name in _GPM.items()},
        "clock_min": timeline.quantile(clocks, 0.0),
        "clock_max": timeline.quantile(clocks, 1.0),
        "reasons": [f"{bits:#x}" for bits in reasons],
    }


_GPM: Final = {1: "graphics", 2: "sm", 10: "dram", 172: "switch_requests", 174: "switch_active"}


def turns(run: Run) -> dict[str, Any]:
    """Look at the device's clock from a kernel, alone and beside a hog: its jumps are somebody else's turns."""
    found = {}
    with Crew(run.folder("turns"), run.variables) as crew:
        looker = _tenant(crew, run, "looker")
        for name in ("alone", "beside a hog"):
            if name != "alone":
                hog = _tenant(crew, run, "hog")
                _run(run, hog, HOG, run.lengths.turns + 2 * _SOON)
            looker.say({"do": "gaps", "start": time.monotonic() + 2 * _SOON, "seconds": run.lengths.turns})
            found[name] = _turns(looker.hear(run.lengths.turns + _SPARE))
    return found


def _turns(answer: dict[str, Any]) -> dict[str, Any]:
    gaps = [(at / 1e6, length / 1e6) for at, length in answer["gaps"]]
    lengths = sorted(length for _, length in gaps)
    own = sorted(later[0] - (earlier[0] + earlier[1]) for earlier, later in itertools.pairwise(gaps))
    return {
        "looked_s": answer["looked"] / 1e9,
        "jumps": len(gaps),
        "away_part": sum(lengths) / (answer["looked"] / 1e6) if answer["looked"] else None,
        "away_ms": {name: timeline.quantile(lengths, part) for name, part in _PARTS.items()},
        "own_ms": {name: timeline.quantile(own, part) for name, part in _PARTS.items()},
    }


_PARTS: Final = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "max": 1.0}


def _tenant(crew: Crew, run: Run, name: str = "tenant") -> Child:
    child = crew.python(name, "bench.hardware.tenant", run.gpu, run.lifetime)
    child.hear(START)
    return child


def _run(run: Run, child: Child, demand: Demand, seconds: float, *, fill: float = 1.0) -> None:
    child.say(
        {
            "do": "run",
            "start": time.monotonic() + _SOON,
            "seconds": seconds,
            "rounds": run.rounds(demand.kernel),
            "kind": demand.kind.value,
            "burst": demand.burst,
            "think": demand.think,
            "fill": fill,
        }
    )


def overhead(run: Run) -> dict[str, Any]:
    """Measure what a tenant loses to the exporter: its throughput without one, beside one at 1 Hz, and at 10 Hz."""
    folder = run.folder("overhead")
    rows: dict[str, list[float]] = {"without": [], "1 Hz": [], "10 Hz": []}
    node = Node(folder, run.gpu, sharing="exclusive", replicas=1, policy=_RULES)
    with node, Crew(folder, run.variables) as crew:
        node.run_pod("only")
        child = _tenant(crew, run)
        node.place(child.pid, "only")
        _run(run, child, HOG, _WARM)  # so that the first window's clocks are up as the others' are
        child.hear(_SPARE)
        for _ in range(run.lengths.rounds):
            for name, tick in (("without", None), ("1 Hz", "1s"), ("10 Hz", "100ms")):
                beside = None if tick is None else Exporter(crew, node.flags(tick))
                if beside is not None:
                    beside.ready()
                _run(run, child, HOG, run.lengths.overhead)
                rows[name].append(child.hear(run.lengths.overhead + _SPARE)["kernels"] / run.lengths.overhead)
                if beside is not None:
                    beside.end()
    return {"kernels_per_second": rows}


def _board(snapshot: dict[str, Any], uuid: str) -> dict[str, Any]:
    """What the board is, as the exporter says it."""
    gpu = next(row for row in snapshot["gpus"] if row["uuid"] == uuid)
    return {
        "board": gpu["model"],
        "architecture": gpu["architecture"],
        "sms": gpu["sm_count"],
        "driver": snapshot["driver"],
        "nvml": snapshot["nvml"],
        "gpus": len(snapshot["gpus"]),
    }
