"""A metric, its matchers and a time, as the APIs write them."""

from __future__ import annotations

from collections.abc import Sequence

from slo.spec import Matcher, Op


def selector(metric: str, matchers: Sequence[Matcher]) -> str:
    """Return the selector of a metric's series; the name stands as a matcher, so that any name may."""
    named = Matcher("__name__", Op.EQUAL, metric)
    return "{" + ",".join(map(str, (named, *matchers))) + "}"


def milliseconds(seconds: float) -> int:
    """Return Unix milliseconds at or before a time, which a float holds to about a quarter of a microsecond."""
    return int(round(seconds * 1e6) // 1000)


def unix(time: int) -> str:
    """Return Unix milliseconds as seconds, exactly."""
    return f"{time // 1000}.{time % 1000:03d}"
