"""How large the slow rows are: small in CI, full when `make faults` asks for it."""

from __future__ import annotations

import os

FULL = os.environ.get("FAULTS", "") == "full"


def either(small: int, full: int) -> int:
    """The size of this run."""
    return full if FULL else small
