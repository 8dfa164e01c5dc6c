"""Numbers and names as a person reads them: columns that add up as shown, and names that cannot touch the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.accounting import apportion

_LONGEST = 320
"""Letters of a Kubernetes namespace (a DNS label, 63) and a pod's name (a DNS subdomain, 253); nothing longer is one."""
_MINUTE, _HOUR = 60, 3600
_FINE = 100.0
"""Below this many seconds a tenth is worth showing."""


def clean(name: str) -> str:
    """Return a name with everything that is no printable character written out, and cut where no honest name ends.

    Escapes, control and direction-changing characters of a tenant's names and commands must not reach a terminal.
    """
    return printable(name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…")


def printable(text: str) -> str:
    """Return a text with everything that is no printable character written out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def whole_parts(parts: Sequence[float], total: int) -> list[int]:
    """Round parts to whole numbers that add up to `total` (largest remainder); negative parts count as 0."""
    if not parts:
        return []
    weights = [max(0.0, part) for part in parts]
    if sum(weights) <= 0:
        return [0] * len(parts)
    return apportion(total, weights)


def span(seconds: float) -> str:
    """Return whole seconds as `45s`, `18m 00s` or `3h 00m 12s`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // _HOUR}h {whole % _HOUR // 60:02d}m {whole % 60:02d}s"


def rough_span(seconds: float) -> str:
    """Return a span with its largest unit or two: `45s`, `18m`, `3h 05m`, `2d 4h`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole}s"
    if whole < _HOUR:
        return f"{whole // 60}m"
    if whole < 48 * _HOUR:
        return f"{whole // _HOUR}h {whole % _HOUR // 60:02d}m"
    return f"{whole // (24 * _HOUR)}d {whole % (24 * _HOUR) // _HOUR}h"


def spans(parts: Sequence[float]) -> list[str]:
    """Return spans that add up, second for second, to the span of their sum."""
    return [span(part) for part in whole_parts(parts, round(sum(parts)))]


def second_parts(parts: Sequence[float]) -> tuple[list[str], str]:
    """Return seconds and their total, to a tenth when there are few of them, so that the column adds up as shown."""
    total = sum(parts)
    places = 1 if total < _FINE else 0
    scale = 10**places
    units = round(total * scale)
    return [f"{n / scale:,.{places}f}" for n in whole_parts(parts, units)], f"{units / scale:,.{places}f}"


def point_places(share: float) -> int:
    """How many decimals percentage points are shown with: below ten points, one digit is too few to divide."""
    return 1 if share < 0.1 else 0  # noqa: PLR2004  # ten points


def point_parts(parts: Sequence[float]) -> tuple[list[str], str]:
    """Return shares as percentage points and their total, so that the column adds up as shown."""
    places = point_places(sum(parts))
    scale = 10**places
    units = round(sum(parts) * 100 * scale)
    return [f"{n / scale:.{places}f}" for n in whole_parts(parts, units)], f"{units / scale:.{places}f}"


def percent_parts(parts: Sequence[float]) -> list[str]:
    """Return whole per cents that add up to 100, or to 0 when there is nothing to divide."""
    return [f"{n}%" for n in whole_parts(parts, 100)]


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b`, or `a, b and c`."""
    *first, last = names or ("nobody",)
    return f"{', '.join(first)} and {last}" if first else last
