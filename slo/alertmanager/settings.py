"""How alerts are sent: times, sizes and what every alert of the sender's own carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from slo.rules.texts import Links


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Seconds, unless said otherwise. The defaults are Prometheus's where it has the like.

    `lifetime` is four times `resend`: three posts may be lost before a peer takes an alert for ended. Resolved alerts are sent
    again for as long as Prometheus does, because a peer that was down when it ended still holds it.
    """

    resend: int = 60
    lifetime: int = 240
    resolved_for: int = 900
    cap: int = 500  # alerts of one name and severity that are shown
    batch: int = 1000  # alerts in a request
    deadline: float = 10.0  # of a request
    patience: float = 10.0  # for which a round waits for its peers; they go on without it
    backoff: float = 1.0  # after a first failure; doubled by each further one
    backoff_most: float = 30.0
    refused_for: float = 600.0  # for which a refused alert is not tried again at that peer
    watchdog: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)  # of every alert, whose own win; as external_labels
    links: Links = field(default_factory=Links)  # to runbooks and a dashboard, where a spec has none
    generator_url: str = ""
