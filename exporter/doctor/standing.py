"""What this process may do on the node, and which of the enforcers' files there are: facts, looked up elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporter.model import Missing, Reason

MONITOR = "NVIDIA_MIG_MONITOR_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Facts about this process on a real node; on a simulated or recorded one nothing is known of it."""

    uid: int | None = None
    host_pids: bool | Missing = field(default_factory=lambda: Missing(Reason.NOT_CONFIGURED))
    monitor: str | None = None  # of the MIG instances' monitor devices, as the environment asks for them
    mps_program: bool | None = None
    paths: Mapping[str, str] = field(default_factory=dict)  # enforcer → path; one that is switched off is not in it
    found: frozenset[str] = frozenset()  # enforcers whose path is there
