"""What the generated rules cost a Prometheus, beside rules as Sloth writes them: one set for each partition.

    python -m bench.slo_rules [--partitions N] [--minutes M] [--sloth N]

A real Prometheus scrapes pages of N partitions, 80 to a node, every 30 s; one in a hundred is in breach all the time.
First it evaluates one SLO's generated rules, then, in a server of its own, Sloth's rules for a few partitions: 17 each,
with Sloth's names, windows and groups, whose figures are multiplied up to N. Seconds are what Prometheus itself says of
each group's last evaluation (the median of those seen), brought to a minute: a group that is evaluated each five minutes
counts a fifth. The server is young: its longest windows hold M minutes, so the sums over a day and over a month, and Sloth's
as well, are cheaper here than in a month.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from bench.program import Program, free_port, running
from bench.table import aligned
from slo.burnrate import BURNS
from slo.rules import document
from slo.rules.model import Alert, Group, Record
from slo.rules.promql import duration
from slo.spec import Objective, PartitionSLO, Severity, Sli, Subject

NODE = 80
IN_BREACH = 100
"""Partitions of a node; and of how many partitions one is in breach."""

GOAL = 1.0
"""Seconds of evaluation a minute for one SLO over 10,000 partitions."""

SPEC = PartitionSLO(
    name="compute",
    sli=Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.05),
    group_by=("cluster",),
    objectives=(
        Objective(name="guaranteed", classes=("guaranteed",), target=0.99, fast=Severity.PAGE, slow=Severity.TICKET),
        Objective(name="burstable", classes=("burstable",), target=0.95, fast=Severity.TICKET, slow=Severity.TICKET),
    ),
)


@dataclass(frozen=True, slots=True)
class Cost:
    """What rules cost: how many, how large, what they record, and seconds of evaluation a minute."""

    rules: int
    size: int
    series: int
    seconds: float

    def times(self, factor: float) -> Cost:
        """Return the cost of so many times as much."""
        return Cost(
            round(self.rules * factor), round(self.size * factor), round(self.series * factor), self.seconds * factor
        )


def main(argv: Sequence[str]) -> int:
    """Measure and print. The exit status is 0 whether or not the goal is met: it is for a quiet machine."""
    parser = argparse.ArgumentParser(prog="python -m bench.slo_rules", description="Measure what the rules cost.")
    parser.add_argument("--partitions", type=int, default=10_000, help="partitions that are scraped (10000)")
    parser.add_argument("--minutes", type=float, default=7.0, help="how long each server runs (7)")
    parser.add_argument("--sloth", type=int, default=100, help="partitions with rules of their own (100)")
    asked = parser.parse_args(argv)
    groups = document.rules([SPEC])
    with tempfile.TemporaryDirectory(prefix="slicewatch-bench-") as folder, fleet() as pages:
        place = Path(folder)
        rules = document.prometheus(groups)
        ours = measured(place / "ours", rules, pages, asked.partitions, asked.minutes)
        theirs = measured(
            place / "sloth", document.prometheus(sloth(asked.sloth)), pages, asked.partitions, asked.minutes
        )
    print(table(asked.partitions, ours, asked.sloth, theirs), end="")
    return 0


def table(partitions: int, ours: Cost, few: int, theirs: Cost) -> str:
    """Return the figures as a table."""
    each = theirs.times(partitions / few)
    rows = [
        (f"slicewatch, {partitions:,} partitions", ours),
        (f"as Sloth does, {few:,} partitions (measured)", theirs),
        (f"as Sloth does, {partitions:,} partitions (multiplied)", each),
    ]
    head = ("one SLO", "rules", "bytes", "series recorded", "s a minute")
    body = [(name, f"{c.rules:,}", f"{c.size:,}", f"{c.series:,}", f"{c.seconds:.2f}") for name, c in rows]
    return aligned(head, body) + f"Goal at 10,000 partitions: under {GOAL:g} s a minute.\n"


def measured(folder: Path, rules: str, pages: int, partitions: int, minutes: float) -> Cost:
    """Run a Prometheus with these rules for some minutes and return what they cost it."""
    folder.mkdir()
    (folder / "rules.yaml").write_text(rules)
    (folder / "prometheus.json").write_text(json.dumps(_configuration(pages, partitions, folder / "rules.yaml")))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.json'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    seen: dict[str, dict[str, float]] = {}
    with running("prometheus", command, port, {}, folder / "log") as server:
        until = time.monotonic() + 60 * minutes
        while time.monotonic() < until:
            time.sleep(5)
            _look(server, seen)
            print(f"\r{folder.name}: {until - time.monotonic():5.0f} s left", end="", file=sys.stderr)
        print(file=sys.stderr)
        series = _number(server, 'count({__name__=~".+:.+"}) or vector(0)')
        groups = _ask(server, "/api/v1/rules")["groups"]
    errors = [rule["lastError"] for group in groups for rule in group["rules"] if rule.get("lastError")]
    if errors:
        raise SystemExit(f"a rule failed: {errors[0]}")
    every = {group["name"]: float(group["interval"]) for group in groups}
    # The first two evaluations find no predecessor: they are left out where there are later ones.
    seconds = sum(
        statistics.median(list(times.values())[2:] or list(times.values())) * 60 / every[name]
        for name, times in seen.items()
    )
    return Cost(sum(len(group["rules"]) for group in groups), len(rules), int(series), seconds)


def sloth(partitions: int) -> list[Group]:
    """Return rules in Sloth's shape (v0.16): for each partition 8 ratios, 7 facts and 2 alerts, in three groups."""
    return [group for number in range(partitions) for group in _sloth_of(number)]


def _sloth_of(number: int) -> Iterator[Group]:
    own = ",".join(f'{key}="{value}"' for key, value in identity(number).items())
    labels = {"sloth_id": f"gpu-compute-{number}", "sloth_service": "gpu", "sloth_slo": f"compute-{number}"}
    whose = ",".join(f'{key}="{value}"' for key, value in labels.items())
    counter = "gpu_partition_guarantee_seconds_total"
    windows = sorted({seconds for burn in BURNS for seconds in (burn.short, burn.long)})
    ratios = [
        Record(
            f"slo:sli_error:ratio_rate{duration(seconds)}",
            f'(sum(rate({counter}{{guarantee="compute",outcome="broken",{own}}}[{duration(seconds)}])))\n/\n'
            f'(sum(rate({counter}{{guarantee="compute",outcome=~"kept|broken",{own}}}[{duration(seconds)}])))',
            labels | {"sloth_window": duration(seconds)},
        )
        for seconds in windows
    ]
    base = f"slo:sli_error:ratio_rate5m{{{whose}}}"
    ratios.append(
        Record(
            "slo:sli_error:ratio_rate30d",
            f"sum_over_time({base}[30d])\n/ ignoring (sloth_window)\ncount_over_time({base}[30d])",
            labels | {"sloth_window": "30d"},
        )
    )
    budget = f"on(sloth_id, sloth_slo, sloth_service) group_left\nslo:error_budget:ratio{{{whose}}}"
    facts = {
        "slo:objective:ratio": "vector(0.99)",
        "slo:error_budget:ratio": "vector(1-0.99)",
        "slo:time_period:days": "vector(30)",
        "slo:current_burn_rate:ratio": f"{base}\n/ {budget}",
        "slo:period_burn_rate:ratio": f"slo:sli_error:ratio_rate30d{{{whose}}}\n/ {budget}",
        "slo:period_error_budget_remaining:ratio": f"1 - slo:period_burn_rate:ratio{{{whose}}}",
        "sloth_slo_info": "vector(1)",
    }
    yield Group(f"sloth-slo-sli-recordings-{number}", 60, tuple(ratios))
    yield Group(f"sloth-slo-meta-recordings-{number}", 60, tuple(Record(k, v, labels) for k, v in facts.items()))
    alerts = [
        Alert("GPUCompute", _sloth_alert(whose, name, factors), {"severity": name}, {"summary": "burns"})
        for name, factors in (("page", (14.4, 6)), ("ticket", (3, 1)))
    ]
    yield Group(f"sloth-slo-alerts-{number}", 60, tuple(alerts))


def _sloth_alert(whose: str, name: str, factors: Sequence[float]) -> str:
    burns = [burn for burn in BURNS if burn.name == ("fast" if name == "page" else "slow")]
    return "\nor\n".join(
        "(\n"
        + "\nand\n".join(
            f"max(slo:sli_error:ratio_rate{duration(seconds)}{{{whose}}} > ({factor:g} * 0.01)) without (sloth_window)"
            for seconds in (burn.short, burn.long)
        )
        + "\n)"
        for burn, factor in zip(burns, factors, strict=True)
    )


def identity(number: int) -> dict[str, str]:
    """Return a partition's labels."""
    return {
        "gpu": f"GPU-{number // 10:05d}",
        "device": f"MIG-{number:06d}",
        "namespace": f"team-{number % 97}",
        "pod": f"train-{number}",
        "container": "main",
    }


class _Node(BaseHTTPRequestHandler):
    """Pages of nodes: /NODE/HOW-MANY-PARTITIONS."""

    protocol_version = "HTTP/1.1"
    started: ClassVar[float] = time.time()

    def do_GET(self) -> None:
        """Write a node's page as of now."""
        node, partitions = map(int, self.path.strip("/").split("/"))
        age = int(time.time() - self.started) + 1000
        body = "".join(_lines(node, age, range(node * NODE, min(node * NODE + NODE, partitions)))).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is http.server's
        """Say nothing."""


def _lines(node: int, age: int, numbers: range) -> Iterator[str]:
    yield f'gpu_device_info{{gpu="GPU-{node}",device="GPU-{node}",node="node-{node}"}} 1\n'
    for number in numbers:
        own = ",".join(f'{key}="{value}"' for key, value in identity(number).items())
        facts = f'node="node-{node}",pod_uid="u{number}",workload_kind="Job",workload="w",resource="nvidia.com/gpu"'
        klass = "guaranteed" if number % 2 else "burstable"
        yield f'gpu_partition_info{{{own},{facts},sharing="time-slicing",slots="1",profile=""}} 1\n'
        yield f'gpu_partition_promise_info{{{own},dimension="compute",class="{klass}",enforcer="e",source="s"}} 1\n'
        full = "broken" if number % IN_BREACH == 1 else "kept"
        for outcome in ("kept", "broken", "idle", "blind"):
            value = age if outcome == full else 0
            yield f'gpu_partition_guarantee_seconds_total{{{own},guarantee="compute",outcome="{outcome}"}} {value}\n'


@contextmanager
def fleet() -> Iterator[int]:
    """Serve the nodes' pages; the block is entered with the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Node)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _configuration(pages: int, partitions: int, rules: Path) -> Mapping[str, Any]:
    jobs = [
        {
            "job_name": f"node-{node}",
            "metrics_path": f"/{node}/{partitions}",
            "static_configs": [{"targets": [f"127.0.0.1:{pages}"], "labels": {"instance": f"n{node}", "cluster": "c"}}],
        }
        for node in range(-(-partitions // NODE))
    ]
    return {"global": {"scrape_interval": "30s"}, "scrape_configs": jobs, "rule_files": [str(rules)]}


def _look(server: Program, seen: dict[str, dict[str, float]]) -> None:
    """Note each group's newest evaluation, by its time, in seconds."""
    for group in _ask(server, "/api/v1/rules")["groups"]:
        if not group["lastEvaluation"].startswith("0001"):
            seen.setdefault(group["name"], {})[group["lastEvaluation"]] = float(group["evaluationTime"])


def _number(server: Program, query: str) -> float:
    (row, *_) = _ask(server, f"/api/v1/query?query={quote(query)}")["result"]
    return float(row["value"][1])


def _ask(server: Program, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=30) as answer:
        return json.load(answer)["data"]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
