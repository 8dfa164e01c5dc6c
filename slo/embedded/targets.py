"""Which exporters there are: named one by one, or in a file of Prometheus's file_sd format, read again when it changes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from slo.embedded.scrape import Target
from toolkit import yamlfile
from toolkit.errors import ConfigError
from toolkit.logs import log
from toolkit.site import ANYBODY, Access, site
from toolkit.yamltree import Node, quoted

_LOG = logging.getLogger(__name__)
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,127}")


@dataclass(frozen=True, slots=True)
class Places:
    """Where exporters are named, and how they are asked."""

    urls: tuple[str, ...]
    file: Path | None
    access: Access = ANYBODY

    def targets(self) -> tuple[Target, ...]:
        """Return every exporter once. Raises ConfigError with every fault of the file."""
        found = [Target(site(url, self.access)) for url in self.urls]
        if self.file is not None:
            document = yamlfile.read(self.file)  # JSON is YAML
            for group in document.root.sequence():
                found += self._group(group)
            document.finish()
        return tuple({one.site.url: one for one in found}.values())

    def _group(self, node: Node) -> list[Target]:
        fields = node.mapping()
        addresses = fields.required("targets")
        written = fields.get("labels")
        fields.finish()
        labels: dict[str, str] = {}
        for name, _, value in () if written is None else written.mapping():
            text = value.string()
            if not _LABEL.fullmatch(name):
                value.fail(f"{quoted(name)} is no label", "a Prometheus label")
            elif text is not None and not name.startswith("__"):
                labels[name] = text
        found = []
        for item in () if addresses is None else addresses.sequence():
            address = item.string()
            try:
                if address is not None:
                    url = address if "://" in address else f"http://{address}"
                    found.append(Target(site(url, self.access), labels))
            except ConfigError as error:
                item.fail(str(error), "HOST:PORT, or a URL")
        return found


class Watched:
    """The exporters as the file last said; while a changed file cannot be read, what it said before stays."""

    def __init__(self, places: Places) -> None:
        """Raises ConfigError when the file cannot be read at the start."""
        self._places = places
        self._seen = _stamp(places.file)
        self._targets = places.targets()

    def changed(self) -> Sequence[Target] | None:
        """Return the exporters when they are others than at the last call, else None."""
        seen = _stamp(self._places.file)
        if seen == self._seen:
            return None
        self._seen = seen
        try:
            targets = self._places.targets()
        except ConfigError as error:
            log(_LOG, logging.ERROR, "the changed file of exporters cannot be used; the old one stays", error=error)
            return None
        if targets == self._targets:
            return None
        self._targets = targets
        return targets

    @property
    def targets(self) -> Sequence[Target]:
        """The exporters."""
        return self._targets


def _stamp(path: Path | None) -> tuple[int, int, int] | None:
    try:
        found = None if path is None else path.stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)
