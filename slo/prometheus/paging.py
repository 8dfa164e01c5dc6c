"""A long range in pages that the server has room for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from slo.prometheus.refusals import TooMuchError

DAY: Final = 86_400_000
"""Milliseconds."""
LEAST: Final = 60_000


def paged(ask: Callable[[int, int], None], after: int, until: int, size: int) -> int:
    """Ask for after < t ≤ until page by page, halving the pages where one is too much; return the size that will do.

    Times are Unix ms. Raises TooMuchError when a page of one minute is still too much.
    """
    while after < until:
        end = min(after + size, until)
        try:
            ask(after, end)
        except TooMuchError:
            if end - after <= LEAST:
                raise
            size = max(LEAST, (end - after) // 2)
            continue
        after = end
    return size
