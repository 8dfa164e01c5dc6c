"""The node of the end-to-end tests, for the chain that starts at its driver."""

from __future__ import annotations

from tests.e2e.conftest import driver_library, rig

__all__ = ["driver_library", "rig"]
