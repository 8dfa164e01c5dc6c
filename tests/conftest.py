"""For all tests: the one that takes minutes begins first; in CI the properties are tried on the same examples every time."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the chain, which waits for minutes of real time, so that all else is done beside it."""
    items.sort(key=lambda item: "tests/slo/chain" not in item.nodeid)
