"""A slicewatch exporter's page as samples: only what is judged or told, and only whole pages.

Pages are asked for as OpenMetrics, which ends in `# EOF`: a page that was cut off is told from a short one. A series' labels
are read once in its life; their bytes are the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import polars as pl

from exporter import catalogue
from slo.samples import SCHEMA, Samples
from toolkit.errors import UnreachableError

WANTED = tuple(
    metric.name
    for metric in (
        catalogue.GUARANTEE_SECONDS,
        catalogue.PARTITION_INFO,
        catalogue.PROMISE_INFO,
        catalogue.PROMISED_COMPUTE,
        catalogue.PROMISED_MEMORY,
        catalogue.OBTAINABLE_MEMORY,
        catalogue.DELIVERED_COMPUTE,
        catalogue.ENTITLED_COMPUTE,
        catalogue.LOST_SECONDS,
        catalogue.LOST_TO_NEIGHBOUR,
        catalogue.BLIND_SECONDS,
        catalogue.SHARE_SECONDS,
        catalogue.ACCOUNTED_SECONDS,
        catalogue.DEMAND_INFO,
    )
)
"""Families that are kept: what slices are made of, and what alerts and reports tell."""

_LABELS = rb'(?:[^"}]|"(?:[^"\\\n]|\\.)*")*'
_LINE = re.compile(
    rb"^(" + b"|".join(name.encode() for name in WANTED) + rb")(\{" + _LABELS + rb"\}) (\S+)$", re.MULTILINE
)
_LABEL = re.compile(rb'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"')
_ESCAPED = re.compile(rb"\\(.)")
_PLAIN = {b"n": b"\n", b'"': b'"', b"\\": b"\\"}
_END = b"# EOF\n"


class Pages:
    """Reads the pages of one exporter; `extra` labels (its `instance`, and what its site says of it) are put on each series."""

    def __init__(self, name: str, extra: Mapping[str, str]) -> None:
        self._name = name
        self._extra = dict(extra)
        self._known: dict[tuple[bytes, bytes], Mapping[str, str]] = {}

    def read(self, page: bytes, at: int) -> Samples:
        """Return a page's samples, all of them at `at` (Unix seconds). Raises UnreachableError for what is no whole page."""
        if not page.endswith(_END):
            what = "the page was cut off" if b"# TYPE gpu_" in page else "that is no slicewatch exporter's page"
            raise UnreachableError(f"{self._name}: {what}; expected OpenMetrics that ends in # EOF")
        known: dict[tuple[bytes, bytes], Mapping[str, str]] = {}
        values: dict[tuple[bytes, bytes], float] = {}
        for found in _LINE.finditer(page):
            key = (found[1], found[2])
            labels = self._known.get(key)
            known[key] = self._labels(*key) if labels is None else labels
            try:
                values[key] = float(found[3])
            except ValueError as error:
                raise UnreachableError(f"{self._name}: {found[3][:40]!r} is no value of {found[1].decode()}") from error
        self._known = known
        frame = pl.DataFrame(
            {"series": range(len(values)), "t": [at * 1000] * len(values), "v": list(values.values())}, schema=SCHEMA
        )
        return Samples(tuple(known[key] for key in values), frame)

    def _labels(self, name: bytes, written: bytes) -> Mapping[str, str]:
        found = {"__name__": name.decode(), **self._extra}
        for label in _LABEL.finditer(written):
            value = _ESCAPED.sub(lambda one: _PLAIN.get(one[1], one[0]), label[2])
            found[label[1].decode()] = value.decode("utf-8", "replace")
        return found
