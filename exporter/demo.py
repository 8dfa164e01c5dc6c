"""`slicewatch demo`: the whole pipeline on a simulated node, in this terminal.

The exporter's own collector runs on the simulator's sources; only the clock is the demo's, so that the story is the same
every time. On a terminal the screen is live; elsewhere what happens is printed as it happens, and the node at the end.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.live import Live

from exporter.collect import Collector
from exporter.incidents import Happening, Story, follow
from exporter.screen import alert, happening, partitions, screen
from exporter.simulator import scenario
from exporter.simulator.sources import build
from exporter.witness import Clock, Sources
from toolkit.flags import FlagParser
from toolkit.values import duration, whole_number

_PAST = 8
_WIDTH = 160


class _Time:
    """Simulated seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        """Return the simulated second."""
        return self.now


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO) -> int:
    """Run the demo. Raises ConfigError for flags that it does not know."""
    parser = FlagParser("slicewatch demo", "A simulated node: a breach is seen, explained and alerted on.")
    parser.add_argument("--scenario", default="demo", help=f"one of {', '.join(scenario.names())} (default demo)")
    parser.add_argument("--seed", type=whole_number(0, 2**31), default=1, help="the node's random seed (default 1)")
    parser.add_argument("--duration", type=duration, default=60.0, help="simulated time (default 60s)")
    parser.add_argument("--speed", type=float, default=2.0, help="simulated seconds a second on a terminal (default 2)")
    flags = parser.parse(argv)
    moved = _Time()
    node = build(scenario.load(flags.scenario), flags.seed, 0.0)
    sources = Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        enforcers=node.enforcers,
        dcgm=node.dcgm,
    )
    collector = Collector("gpu-node-07", sources, clock=Clock(moved.read, moved.read))
    live = stdout.isatty()
    console = Console(file=stdout, width=None if live else _WIDTH, no_color="NO_COLOR" in environ)
    title = f"slicewatch demo: {flags.scenario}"
    try:
        if live:
            _play(collector, moved, console, title, flags.duration, flags.speed)
        else:
            _tell(collector, moved, console, title, flags.duration)
    except KeyboardInterrupt:
        pass
    finally:
        collector.close()
    return 0


def _play(collector: Collector, moved: _Time, console: Console, title: str, length: float, speed: float) -> None:
    story, past = Story(), deque[Happening](maxlen=_PAST)
    with Live(console=console, auto_refresh=False, screen=False, vertical_overflow="crop") as display:
        while moved.now <= length:
            tick = collector.run_tick()
            story = follow(story, tick.result)
            past.extend(story.news)
            display.update(screen(tick.result, story, past, title), refresh=True)
            moved.now += 1.0
            time.sleep(1.0 / max(speed, 0.01))


def _tell(collector: Collector, moved: _Time, console: Console, title: str, length: float) -> None:
    story, tick = Story(), collector.run_tick()
    console.print(title, highlight=False)
    while moved.now < length:
        moved.now += 1.0
        tick = collector.run_tick()
        story = follow(story, tick.result)
        for line in story.news:
            console.print(happening(line), soft_wrap=True)
            if line.kind == "alert":
                incident = story.open[line.key, line.guarantee]
                text = alert(line.key.namespace, line.key.pod, line.guarantee, incident)
                console.print(text, soft_wrap=True)
    console.print()
    console.print(partitions(tick.result))
