"""A dcgm-exporter's page: read and joined here, against the client library that only parses it.

    python -m bench.dcgm [--quick]

The page is of eight GPUs with seven instances each and 25 fields, as text of 1,400 samples with pod labels. Times are CPU
seconds of the thread, medians; the two take turns, so that a busy machine is busy for both. The client library's parser
makes samples of lines and no more: nothing of what makes a value of a device of them. It also gives up on a whole page for one
line that it cannot read, which is no part of this bench.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Sequence

from prometheus_client.parser import text_string_to_metric_families

from bench import machine
from bench.measure import median, timed
from bench.table import aligned
from exporter.activity import ActivityMemory, with_activity
from exporter.dcgm.fields import BY_NAME, Kind, Scope
from exporter.dcgm.history import History, reading
from exporter.dcgm.page import Page, parse
from exporter.dcgm.rows import gather
from exporter.model import DriverReading
from exporter.simulator import scenario
from exporter.simulator.sources import build

GPUS, INSTANCES, FIELDS = 8, 7, 25
GOAL = 11
"""Times as fast as the client library, reading alone: what an earlier parser of the same pages reached at the least."""


def names() -> list[str]:
    """The first 25 fields of the table that stand on rows of instances, by their usual spelling."""
    usual = {field.key: name for name, field in BY_NAME.items() if name.startswith("DCGM_FI_")}
    skipped = {Kind.BITMASK, Kind.CODE, Kind.FLAG}
    fields = [field for field in dict.fromkeys(BY_NAME.values()) if field.kind not in skipped and field.key in usual]
    ratios = [field for field in fields if field.kind is Kind.RATIO]
    return [usual[field.key] for field in (*ratios, *(each for each in fields if each not in ratios))][:FIELDS]


def page(turn: int, uuids: Sequence[str], profile: str) -> str:
    """A page's text; values change with every turn."""
    lines: list[str] = []
    for number, name in enumerate(names()):
        lines += [f"# HELP {name} A field.", f"# TYPE {name} gauge"]
        for gpu, uuid in enumerate(uuids):
            for instance in range(1, INSTANCES + 1):
                labels = (
                    f'gpu="{gpu}",UUID="{uuid}",pci_bus_id="00000000:{0x17 + gpu:02X}:00.0",device="nvidia{gpu}",'
                    f'modelName="NVIDIA A100-SXM4-80GB",GPU_I_PROFILE="{profile}",GPU_I_ID="{instance}",'
                    f'Hostname="node-1",DCGM_FI_DRIVER_VERSION="580.95.05",container="main",namespace="team-{gpu}",'
                    f'pod="worker-{instance}-7d4b9c5f68-x2v7p"'
                )
                of_gpu = BY_NAME[name].scope is Scope.GPU
                value = (number + gpu * (1 if of_gpu else instance) + turn) % 97 / 100
                lines.append(f"{name}{{{labels}}} {value:f}")
    return "\n".join((*lines, ""))


def node() -> DriverReading:
    """What the driver says of a node of eight A100s in seven instances each."""
    pods = "".join(
        f'[[gpu]]\nname = "a{n}"\nboard = "A100-SXM-80GB"\nmig = {["1g.10gb"] * INSTANCES}\n' for n in range(GPUS)
    )
    made = build(scenario.parse(f'about = "bench"\n[node]\nname = "node-1"\nmig_strategy = "mixed"\n{pods}'))
    return made.driver.read(0.0)


def run(turns: int) -> dict[str, float]:
    """Median CPU seconds of each part, after two turns to warm up."""
    gc.set_threshold(50_000, 20, 100)  # as in a running exporter (exporter/service.py)
    driver = node()
    uuids = [gpu.uuid for gpu in driver.inventory.gpus]
    profile = driver.inventory.gpus[0].instances[0].profile
    times: dict[str, list[float]] = {}

    def part(name: str, call: Callable[..., object], *args: object) -> object:
        return timed(times.setdefault(name, []), call, *args)

    history, memory = History(), ActivityMemory()
    for turn in range(turns + 2):
        body, now = page(turn, uuids, profile), float(turn * 15)
        part("lines", gather, body)
        found = part("page", parse, body)
        if not isinstance(found, Page) or found.counts.lines != GPUS * INSTANCES * FIELDS or found.counts.bad_lines:
            raise ValueError("the page is not read whole")
        told = timed(times.setdefault("samples", []), reading, found, now, history)
        history = told[1]
        joined = timed(times.setdefault("join", []), with_activity, driver, told[0], now, memory)
        memory = joined[1]
        part("client library", lambda text: list(text_string_to_metric_families(text)), body)
    return {name: median(values[2:]) for name, values in times.items()}


def main(argv: Sequence[str]) -> int:
    """Measure and print. The exit status is 0 whether or not the goal is met: it is for a quiet machine."""
    parser = argparse.ArgumentParser(prog="python -m bench.dcgm", description="Measure the reading of a page.")
    parser.add_argument("--quick", action="store_true", help="a few turns, too short for figures to be quoted")
    asked = parser.parse_args(argv)
    print(machine.line(("prometheus-client",)), end="\n\n")
    print(report(run(5 if asked.quick else 40)), end="")
    return 0


def report(found: dict[str, float]) -> str:
    """The table, and whether the goal is met."""
    peer = found["client library"]
    whole = found["page"] + found["samples"] + found["join"]
    rows = [
        ("client library: samples of lines", peer),
        ("lines to rows", found["lines"]),
        ("page to values: duplicates, scope, suspects", found["page"]),
        ("values to samples: age, what is not believed", found["samples"]),
        ("joined with the driver's inventory", found["join"]),
        ("all of it", whole),
    ]
    head = (f"{GPUS} × {INSTANCES} instances, {FIELDS} fields", "CPU", "client library / this")
    table = aligned(head, [(name, f"{cpu * 1e3:.2f} ms", f"{peer / cpu:.1f}") for name, cpu in rows])
    met = "met" if peer / found["page"] >= GOAL else "NOT met"
    return f"{table}\n- {met}: a page read {GOAL} times as fast as the client library parses it; measured {peer / found['page']:.1f}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
