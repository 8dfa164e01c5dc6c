"""VictoriaMetrics's /api/v1/export: raw samples as lines of JSON, of which each has one series' times and values.

The lines are not quite JSON: infinities stand bare (`+Inf`). `null` is a staleness marker, the only NaN that
VictoriaMetrics stores. Values of a block share a decimal exponent, which keeps some 12 digits of each at the least:
0.30000000000000004 comes back as 0.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import numpy as np

from slo.prometheus.client import Answer, Client
from slo.prometheus.runs import Run, Series
from slo.prometheus.selector import selector, unix
from slo.prometheus.table import stored, whole
from slo.spec import Matcher
from toolkit.errors import UnreachableError

PATH: Final = "/api/v1/export"
KINDS: Final = ("application/stream+json", "application/json")
HEADERS: Final = {"Content-Type": "application/x-www-form-urlencoded"}
_METRIC: Final = b'{"metric":{'
_VALUES: Final = b'},"values":['
_TIMES: Final = b'],"timestamps":['
_END: Final = b"]}"
_AT_ONCE: Final = 1 << 25
"""Bytes of lines that are read in one go."""


@dataclass(slots=True)
class _Lines:
    """Lines in parts."""

    labels: list[bytes] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    times: list[bytes] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    size: int = 0

    def add(self, line: bytes) -> None:
        """Take a line apart. Raises ValueError."""
        values = line.find(_VALUES)
        times = line.find(_TIMES, values)
        if not line.startswith(_METRIC) or values < 0 or times < 0 or not line.endswith(_END):
            raise ValueError(f"a line that begins {line[:40]!r}")
        self.labels.append(line[len(_METRIC) : values])
        self.values.append(line[values + len(_VALUES) : times])
        self.times.append(line[times + len(_TIMES) : -len(_END)])
        self.counts.append(self.times[-1].count(b",") + 1)
        self.size += len(line)

    def run(self, into: Series) -> Run:
        """Return their samples. Raises ValueError."""
        counts = np.array(self.counts, dtype=np.int64)
        times, values = whole(b",".join(self.times)), stored(b",".join(self.values))
        if not len(times) == len(values) == int(counts.sum()):
            raise ValueError("a line whose times and values are not as many")
        return Run(np.array([into.place(each) for each in self.labels], dtype=np.int64), counts, times, values)


def fetch(client: Client, metric: str, matchers: Sequence[Matcher], after: int, until: int, into: Series) -> None:
    """Read after < t ≤ until (Unix ms). Raises UnreachableError."""
    form = {"match[]": selector(metric, matchers), "start": unix(after + 1), "end": unix(until)}
    runs: list[Run] = []
    with client.stream(PATH, urlencode(form).encode(), HEADERS, gzip=False) as answer:
        if not answer.kind.startswith(KINDS):
            raise UnreachableError(f"{client.url}: answers an export with {answer.kind or 'no type'}, not with JSON")
        held = _Lines()
        try:
            for line in _lines(answer):
                held.add(line)
                if held.size > _AT_ONCE:
                    runs.append(held.run(into).within(after, until))
                    held = _Lines()
            if held.size:
                runs.append(held.run(into).within(after, until))
        except ValueError as error:
            raise UnreachableError(f"{client.url}: its export is damaged: {error}") from error
    into.runs.extend(runs)


def _lines(answer: Answer) -> Iterator[bytes]:
    """Yield whole lines that are not empty. Raises ValueError where the last one has no end."""
    held: list[bytes] = []
    for part in answer.parts:
        *lines, rest = part.split(b"\n")
        for line in lines:
            whole_line = b"".join((*held, line))
            held.clear()
            if whole_line:
                yield whole_line
        if rest:
            held.append(rest)
    if held:
        raise ValueError("the last line is cut off")
