"""All exporters at once: one that hangs costs a thread and its own minute, nobody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from slo.embedded.page import Pages
from slo.prometheus.client import Client
from slo.samples import Samples, together
from toolkit.errors import UnreachableError
from toolkit.site import Site

DEADLINE = 10.0
"""Seconds for one whole page."""
BOUND = 256 << 20
"""Bytes of the largest page: some thousands of partitions on a node have a tenth of that."""
_THREADS = 16
_OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@dataclass(frozen=True, slots=True)
class Target:
    """An exporter, and the labels that its site gives it."""

    site: Site
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Health:
    """How the last scrape of a target went; `error` is empty when it went well."""

    url: str
    error: str


class Scraper:
    """Scrapes targets in rounds. For one thread; `close` it."""

    def __init__(self, targets: Sequence[Target], deadline: float = DEADLINE) -> None:
        self._targets = [
            (
                Client(one.site, deadline=deadline, headers={"User-Agent": "slicewatch"}),
                Pages(one.site.url, {"instance": urlsplit(one.site.url).netloc, **one.labels}),
            )
            for one in targets
        ]
        self._pool = ThreadPoolExecutor(max_workers=min(_THREADS, max(1, len(targets))), thread_name_prefix="scrape")
        self.health: tuple[Health, ...] = ()

    def round(self, at: int) -> Samples:
        """Scrape everything; the samples are of `at` (Unix seconds). Raises UnreachableError when no target answers."""
        futures = [self._pool.submit(_scrape, client, pages, at) for client, pages in self._targets]
        found, health = [], []
        for (client, _), future in zip(self._targets, futures, strict=True):
            try:
                found.append(future.result())
                health.append(Health(client.url, ""))
            except UnreachableError as error:
                health.append(Health(client.url, str(error)))
        self.health = tuple(health)
        if not found:
            raise UnreachableError("; ".join(one.error for one in health) or "no exporter is named")
        return together(found)

    def close(self) -> None:
        """End the threads and close the connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        for client, _ in self._targets:
            client.close()


def _scrape(client: Client, pages: Pages, at: int) -> Samples:
    parts, size = [], 0
    with client.stream("/metrics", None, _OPENMETRICS, gzip=True) as answer:
        for part in answer.parts:
            size += len(part)
            if size > BOUND:
                raise UnreachableError(f"{client.url}: the page is larger than {BOUND >> 20} MiB")
            parts.append(part)
    return pages.read(b"".join(parts), at)
