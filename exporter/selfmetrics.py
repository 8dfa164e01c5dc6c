"""`process_*` and `python_*` as the client library counts them, as lines that the page can carry."""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.samples import Sample

from exporter.exposition import Foreign, escape, number


class SelfMetrics:
    """Reads the program's own process through the client library's collectors, on a registry of its own."""

    def __init__(self, procfs: str = "/proc") -> None:
        registry = CollectorRegistry()
        self._process = ProcessCollector(proc=procfs, registry=None)
        self._platform = tuple(
            Foreign(m.name, m.type, m.documentation, tuple(map(_line, m.samples)))
            for m in PlatformCollector(registry=registry, platform=platform).collect()
        )

    def read(self) -> tuple[Foreign, ...]:
        """Return the families as they are now; none where procfs cannot be read."""
        process = tuple(
            Foreign(metric.name, metric.type, metric.documentation, tuple(map(_line, metric.samples)))
            for metric in self._process.collect()
        )
        return process + self._platform


def _line(sample: Sample) -> str:
    labels = ",".join(f'{name}="{escape(value)}"' for name, value in sample.labels.items())
    return f"{sample.name}{{{labels}}} {number(sample.value)}" if labels else f"{sample.name} {number(sample.value)}"
