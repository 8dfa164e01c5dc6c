"""An evening in a Prometheus: three hours of a simulated node in which a neighbour takes a time slice while another GPU throttles.

    python -m tests.dashboards.scene FOLDER     # serves it until Ctrl-C, and prints where and which time it is about

The exporter's own pipeline under a clock that is moved by hand writes the pages; promtool makes blocks of them. The generated rules
are evaluated level by level, each of which reads what the one before it recorded, and the alerts that are due are written as the
`ALERTS` that a ruler would have left: no ruler works in the past.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from exporter.collect import Collector
from exporter.simulator import scenario
from exporter.simulator.sources import build
from exporter.witness import Clock, Sources
from slo import specfile
from slo.rules import document
from slo.rules.model import Alert, Group, Record
from tests.slo.servers import Prometheus, prometheus

SCENARIO = Path(__file__).parent / "incident.toml"
BEGIN = 1_760_004_000 // 7200 * 7200 + 1800
"""Half an hour into a block of the store: rules are asked over whole ones."""
LENGTH = 8100
END = BEGIN + LENGTH
SCRAPE, TICK = 30, 5


def pages() -> Iterator[str]:
    """Yield every scrape's samples as OpenMetrics lines with times."""
    now = 0.0
    node = build(scenario.load(str(SCENARIO)), 1, 0.0, sleep=lambda _: None)
    sources = Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        enforcers=node.enforcers,
    )
    clock = Clock(lambda: now, lambda: BEGIN + now)
    collector = Collector("gpu-ams1-r04-n07", sources, clock=clock, tick=TICK, patience=30.0)
    scraped = 'instance="gpu-ams1-r04-n07:9945",job="slicewatch"'
    try:
        for second in range(0, LENGTH + 1, TICK):
            now = float(second)
            tick = collector.run_tick()
            if second % SCRAPE == 0:
                yield from _stamped(tick.rendered.text.decode(), BEGIN + second, scraped)
                yield f"up{{{scraped}}} 1 {BEGIN + second}"
    finally:
        collector.close()


def _stamped(text: str, at: int, scraped: str) -> Iterator[str]:
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            bare, brace, labels = name.partition("{")
            yield f"{bare}{{{labels[:-1]},{scraped}}} {value} {at}" if brace else f"{bare}{{{scraped}}} {value} {at}"


def openmetrics(lines: Iterable[str]) -> str:
    """Put lines under their families, as the format wants them."""
    families: dict[str, list[str]] = {}
    for line in lines:
        families.setdefault(line.partition("{")[0], []).append(line)
    text = [part for name in sorted(families) for part in (f"# TYPE {name} unknown", *families[name])]
    return "\n".join([*text, "# EOF", ""])


def levels(groups: Sequence[Group]) -> list[list[tuple[int, Record]]]:
    """Recording rules with their intervals, in levels, each of which reads only what those before it recorded."""
    left = [(group.interval, rule) for group in groups for rule in group.rules if isinstance(rule, Record)]
    names = {rule.name for _, rule in left}
    found: list[list[tuple[int, Record]]] = []
    done: set[str] = set()
    while left:
        ready = [one for one in left if not (_reads(one[1], names) - done)]
        assert ready, f"rules that read each other: {[rule.name for _, rule in left]}"
        found.append(ready)
        left = [one for one in left if one not in ready]
        done = names - {rule.name for _, rule in left}
    return found


def _reads(rule: Record, names: set[str]) -> set[str]:
    return {name for name in names if name != rule.name and name in rule.expression}


def fill(folder: Path) -> None:
    """Make the store's data in `folder/data`."""
    groups = document.rules(specfile.shipped())
    lines: list[str] = list(pages())
    for level in levels(groups):
        with prometheus(folder, openmetrics=openmetrics(lines), flags=_SPARSE) as server:
            lines = [
                line
                for interval, rule in level
                for line in evaluated(server, rule.expression, interval, {"__name__": rule.name, **rule.labels})
            ]
    with prometheus(folder, openmetrics=openmetrics(lines), flags=_SPARSE) as server:
        lines = [
            line
            for group in groups
            for rule in group.rules
            if isinstance(rule, Alert)
            for line in evaluated(server, rule.expression, 60, {**_FIRING, **rule.labels, "alertname": str(rule.name)})
        ]
    with prometheus(folder, openmetrics=openmetrics(lines)):
        pass


_SPARSE = ("--query.lookback-delta=59s",)
"""A ruler ends what is not there any more with a marker; blocks that are made have none, so nothing may be looked back for."""

_FIRING = {"__name__": "ALERTS", "alertstate": "firing"}


def evaluated(server: Prometheus, expression: str, interval: int, own: Mapping[str, str]) -> Iterator[str]:
    """Yield what a ruler would have written for an expression over the evening."""
    for row in server.query_range(expression, -(-BEGIN // interval) * interval, END, interval):
        labels = {key: text for key, text in row["metric"].items() if key != "__name__"} | dict(own)
        name = labels.pop("__name__")
        inside = ",".join(f'{key}="{text}"' for key, text in sorted(labels.items()) if text)
        value = "1" if name == "ALERTS" else None
        yield from (f"{name}{{{inside}}} {value or found} {at}" for at, found in row["values"])


@contextmanager
def scene(folder: Path) -> Iterator[Prometheus]:
    """Serve the evening from a folder, which is filled if it is empty."""
    if not (folder / "whole").exists():
        fill(folder)
        (folder / "whole").touch()
    with prometheus(folder) as server:
        yield server


def main(argv: Sequence[str]) -> int:
    """Serve until Ctrl-C."""
    (folder,) = argv
    with scene(Path(folder)) as server:
        print(f"{server.url} from {BEGIN} to {END}", flush=True)  # noqa: T201  # it is what the command is for
        with suppress(EOFError, KeyboardInterrupt):
            input()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
