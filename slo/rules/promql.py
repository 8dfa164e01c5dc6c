"""The small change of PromQL: selectors, label lists, windows and numbers, written in one way.

Only what Prometheus 2 and 3, Mimir, Thanos and VictoriaMetrics have in common is used.
"""

from __future__ import annotations

from collections.abc import Iterable

from slo.burnrate import exact
from slo.entity import IDENTITY
from slo.spec import Matcher, PartitionSLO

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: int) -> str:
    """Write whole seconds as PromQL does: `1h30m`, `29d23h59m59s`; `0s` for none."""
    text = ""
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def window(seconds: int) -> str:
    """Write a range that holds exactly `seconds` / 60 one-minute samples that end now.

    Prometheus 2 counts both ends of a range and Prometheus 3 only the newer one; a second less is the same in both.
    """
    return f"[{duration(seconds - 1)}]"


def age(seconds: int) -> str:
    """Write a period for a metric's name: `30d`, `36h`, `90m`."""
    unit, size = next((unit, size) for unit, size in _UNITS if seconds % size == 0)
    return f"{seconds // size}{unit}"


def number(value: float) -> str:
    """Write a number without the dust of binary arithmetic."""
    return f"{exact(value):.12g}"


def quoted(text: str) -> str:
    """Write a PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def selector(metric: str, *matchers: Matcher | str) -> str:
    """Write a series selector; a matcher may be given as text."""
    inside = ",".join(str(matcher) for matcher in matchers)
    return f"{metric}{{{inside}}}" if inside else metric


def names(labels: Iterable[str]) -> str:
    """Write a list of labels in parentheses, each once."""
    return f"({', '.join(dict.fromkeys(labels))})"


def partition(spec: PartitionSLO) -> tuple[str, ...]:
    """Return the labels that tell partitions apart: the site's, then the contract's."""
    return (*spec.group_by, *IDENTITY)


def block(text: str) -> str:
    """Put an expression in parentheses, on lines of its own."""
    inside = "\n".join(f"  {line}" if line else line for line in text.split("\n"))
    return f"(\n{inside}\n)"
