"""The evening of the dashboards' tests: a store with what rules made of it."""

from __future__ import annotations

from tests.dashboards.conftest import evening

__all__ = ["evening"]
