"""Whether the libraries of an extra are there; a node's installation has none of them."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from toolkit.errors import ConfigError

_NEEDED = ("numpy", "polars", "urllib3")


def need(extra: str = "slo", libraries: Sequence[str] = _NEEDED) -> None:
    """Raise ConfigError when one of an extra's libraries is missing."""
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not installed: pip install 'slicewatch[{extra}]'")
