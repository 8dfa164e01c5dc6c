"""What a scraper sees: a page taken apart by the client library of Prometheus, and questions to it in a test's words."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]

NO_PROXY = urllib.request.ProxyHandler({})


def fetch(url: str, timeout: float = 10.0) -> tuple[int, str]:
    """GET a loopback URL; return status and body."""
    opener = urllib.request.build_opener(NO_PROXY)
    try:
        with opener.open(url, timeout=timeout) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@dataclass(frozen=True)
class Scrape:
    """One page: every sample by name and labels."""

    text: str
    samples: Mapping[str, Mapping[Labels, float]]

    def rows(self, name: str, *keep: str, **where: str) -> dict[tuple[str, ...], float]:
        """Values of a metric by the labels named in `keep`; only samples that have the labels in `where`.

        Fails the test when `keep` does not tell the samples apart.
        """
        rows: dict[tuple[str, ...], float] = {}
        for labels, value in self.samples.get(name, {}).items():
            found = dict(labels)
            if where.items() <= found.items():
                key = tuple(found[label] for label in keep)
                assert key not in rows, f"{name}: more than one sample for {key}"
                rows[key] = value
        return rows

    def value(self, name: str, **where: str) -> float | None:
        """The one sample of a metric with these labels; None when there is none."""
        return self.rows(name, **where).get(())

    def total(self, name: str, **where: str) -> float:
        """The sum of the samples with these labels; 0 when there is none."""
        found = self.samples.get(name, {})
        return sum(value for labels, value in found.items() if where.items() <= set(labels))

    def words(self, name: str, *without: str) -> set[Labels]:
        """The label sets of a metric, without some labels."""
        return {
            frozenset((label, text) for label, text in labels if label not in without)
            for labels in self.samples.get(name, {})
        }

    def down(self) -> set[str]:
        """Names of the sources that are down."""
        return {source for (source,), up in self.rows("slicewatch_source_up", "source").items() if not up}

    @property
    def essence(self) -> str:
        """The lines that a failed test is read for."""
        lines = (line for line in self.text.splitlines() if line.startswith(("gpu_partition", "slicewatch_")))
        return "\n".join(line for line in lines if "_bucket" not in line)

    @property
    def series(self) -> int:
        """How many samples stand on the page."""
        return sum(len(found) for found in self.samples.values())

    @property
    def ticks(self) -> float:
        """How many ticks there have been."""
        return self.value("slicewatch_tick_duration_seconds_count") or 0.0


def parse(text: str) -> Scrape:
    """Take a page in the Prometheus text format apart."""
    samples: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return Scrape(text, samples)


Condition = Callable[[Scrape], bool]

LOG_ADDRESS = re.compile(r'msg"?[=:] ?"?serving"?.*?address"?[=:] ?"?([0-9.:]+)')
"""Where the log says what is listened on, in either format."""
