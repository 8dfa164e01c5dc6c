"""From figures to the table that a person reads, and the goals beside what was measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench.live import Live
from bench.measure import median
from bench.page import PageFigures
from bench.reading import ReadFigures
from bench.scrape import Latency
from bench.table import aligned
from bench.tick import TickTimes

GOAL_PARTITIONS = 56
"""The node that the goals are set for: eight boards of seven slices."""

_GOAL_CPU, _GOAL_RSS, _GOAL_P99 = 0.01, 45.0, 0.005
_GOAL_GROWTH = 1.5
"""Cost for each partition on the largest node, over that of the goals' node: 1 is exactly linear."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything measured on one size of node."""

    times: TickTimes
    page: PageFigures
    reading: ReadFigures
    modes: TickTimes  # of the node with every mode
    modes_reading: ReadFigures
    live: Live
    peer: Live


Column = Callable[[Figures], str]


def table(measured: Mapping[int, Figures]) -> str:
    """The table, one column a size of node."""
    head = ["", *(f"{partitions} partitions" for partitions in measured)]
    return aligned(head, [[name, *(cell(each) for each in measured.values())] for name, cell in _ROWS])


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms"


def _kib(size: int) -> str:
    return f"{size / 1024:.0f} KiB"


def _peer_ratios(figures: Figures) -> str:
    page = figures.page
    return f"{page.peer_seconds / page.next_seconds:.1f} / {page.peer_seconds / page.first_seconds:.1f}"


def _cpu(live: Live) -> str:
    return f"{live.cpu_unscraped * 100:.2f} / {live.cpu_sparse * 100:.2f} / {live.cpu_scraped * 100:.2f} %"


def _both(latency: Latency) -> str:
    return f"{_ms(latency.p50)} / {_ms(latency.p99)}"


def _memory(live: Live) -> str:
    return f"{live.rss:.1f} / {live.peak:.1f} MiB"


def _cpu_ratios(figures: Figures) -> str:
    peer, own = figures.peer, figures.live
    return f"{peer.cpu_unscraped / own.cpu_unscraped:.1f} / {peer.cpu_scraped / own.cpu_scraped:.1f}"


def _scrape_ratios(figures: Figures) -> str:
    peer, own = figures.peer, figures.live
    return f"{peer.text.p50 / own.text.p50:.0f} / {peer.fresh.p50 / own.fresh.p50:.0f}"


_ROWS: Sequence[tuple[str, Column]] = (
    ("**CPU of one tick** (p50)", lambda f: _ms(f.times.total())),
    ("- join, promise, judge, ledger", lambda f: _ms(median(f.times.step))),
    ("- families", lambda f: _ms(median(f.times.families))),
    ("- page, the lines of both formats", lambda f: _ms(median(f.times.render))),
    ("- own process_* and python_*", lambda f: _ms(median(f.times.own))),
    ("putting both pages together, when asked for", lambda f: _ms(median(f.times.join))),
    ("gzip of a page, when asked for", lambda f: _ms(f.page.gzip_seconds)),
    ("reading the driver (pynvml on the fake driver)", lambda f: _ms(f.reading.read)),
    ("- driver calls", lambda f: str(f.reading.calls)),
    ("- beside it: the fake's look at its changed state", lambda f: _ms(f.reading.parse)),
    ("**every mode on one node**: CPU of one tick", lambda f: _ms(f.modes.total())),
    ("- reading the driver", lambda f: _ms(f.modes_reading.read)),
    ("- driver calls", lambda f: str(f.modes_reading.calls)),
    ("**page**: series", lambda f: str(f.page.series)),
    ("- text / gzip OpenMetrics", lambda f: f"{_kib(f.page.text_bytes)} / {_kib(f.page.gzip_bytes)}"),
    ("- prometheus_client's generate_latest, one format", lambda f: _ms(f.page.peer_seconds)),
    ("- times our next page / first page, both formats", _peer_ratios),
    ("**slicewatch**: CPU of a core, unscraped / every 15 s / 1 Hz", lambda f: _cpu(f.live)),
    ("- RSS / peak", lambda f: _memory(f.live)),
    ("- scrape p50 / p99, text", lambda f: _both(f.live.text)),
    ("- scrape p50 / p99, gzip OpenMetrics", lambda f: _both(f.live.prometheus)),
    ("- the same once a second, a new page each time", lambda f: _both(f.live.fresh)),
    ("**nvitop-exporter**: CPU of a core, unscraped / every 15 s / 1 Hz", lambda f: _cpu(f.peer)),
    ("- RSS / peak", lambda f: _memory(f.peer)),
    ("- scrape p50 / p99, text", lambda f: _both(f.peer.text)),
    ("- scrape p50 / p99, gzip OpenMetrics", lambda f: _both(f.peer.prometheus)),
    ("- the same once a second, a new page each time", lambda f: _both(f.peer.fresh)),
    ("- page as text", lambda f: _kib(f.peer.text.size)),
    ("**peer / slicewatch**: CPU, unscraped / 1 Hz", _cpu_ratios),
    ("- scrape p50, text / gzip OpenMetrics, a new page each time", _scrape_ratios),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal of the design, what was measured, and whether that is good enough."""

    text: str
    measured: str
    met: bool

    def __str__(self) -> str:
        return f"{'met' if self.met else 'NOT met'}: {self.text}; measured {self.measured}"


def goals(measured: Mapping[int, Figures]) -> list[Goal]:
    """The design's goals against the figures."""
    node = measured[GOAL_PARTITIONS].live
    p99 = max(node.text.p99, node.prometheus.p99, node.fresh.p99)
    largest = max(measured)
    growth = measured[largest].times.total() / largest / (measured[GOAL_PARTITIONS].times.total() / GOAL_PARTITIONS)
    where = f"{GOAL_PARTITIONS} partitions at one tick a second"
    return [
        Goal(
            f"at most {_GOAL_CPU:.0%} of a core, {where}, scraped once a second",
            f"{node.cpu_scraped:.2%}",
            node.cpu_scraped <= _GOAL_CPU,
        ),
        Goal(
            f"at most {_GOAL_RSS:.0f} MiB resident, {where}, without the Kubernetes client",
            f"{node.peak:.1f} MiB at the peak",
            node.peak <= _GOAL_RSS,
        ),
        Goal(f"scrape p99 at most {_ms(_GOAL_P99)}, {where}", _ms(p99), p99 <= _GOAL_P99),
        Goal(
            f"cost linear in partitions: a tick's CPU for each partition, {largest} over {GOAL_PARTITIONS} partitions,"
            f" at most {_GOAL_GROWTH}",
            f"{growth:.2f}",
            growth <= _GOAL_GROWTH,
        ),
    ]
