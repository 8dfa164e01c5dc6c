"""Reading texts that a tenant may have written: bounded, and a value that is not what it should be is None."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MIB = 1024 * 1024

MAX_TEXT = 64 * 1024
"""Characters of an annotation that are looked at; Kubernetes allows 256 KiB for all of them together."""

_NUMBER = re.compile(r"[0-9]{1,12}", re.ASCII)
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?|\.[0-9]{1,9}", re.ASCII)
_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_UNITS = {
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodText:
    """What of a pod a record may stand in; containers in the order of the specification."""

    namespace: str
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    init_containers: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    environment: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (container, variable) → value

    def annotation(self, key: str) -> str:
        """An annotation's text; empty when there is none, or it is longer than any scheduler's."""
        found = self.annotations.get(key, "")
        return found if len(found) <= MAX_TEXT else ""


def whole(value: str) -> int | None:
    """A whole number in digits, not negative and of a size that is one."""
    return int(value) if _NUMBER.fullmatch(value) else None


def decimal(value: str) -> float | None:
    """A number in digits with at most one point, not negative."""
    return float(value) if _DECIMAL.fullmatch(value) else None


def quantity(value: object) -> float | None:
    """A Kubernetes quantity (`10Gi`, `4096M`, `1024`)."""
    found = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return float(found[1]) * _UNITS[found[2] or ""] if found else None


def mapping(value: object) -> Mapping[str, Any]:
    """A mapping, empty for anything else."""
    return value if isinstance(value, Mapping) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    """The mappings of a list, none for anything else."""
    return [entry for entry in value if isinstance(entry, Mapping)] if isinstance(value, list) else []


def text(value: object) -> str:
    """A text, empty for anything else."""
    return value if isinstance(value, str) else ""
