"""Whether the libraries of the extra `slo` are there; a node's installation has none of them."""

from __future__ import annotations

import importlib.util

from toolkit.errors import ConfigError

_NEEDED = ("numpy", "polars", "urllib3")


def need() -> None:
    """Raise ConfigError when one of them is missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"{', '.join(missing)} not installed: pip install 'slicewatch[slo]'")
