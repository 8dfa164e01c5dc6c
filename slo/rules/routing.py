"""Alertmanager's configuration for the SLO alerts: who hears of what, in which bundles, and what is inhibited by what.

Alertmanager takes labels that are missing on both sides of an inhibition for equal. So every rule here names the alerts on
both sides, and asks only for labels that those alerts have; where the source is anybody's (a node that is down), the target
must have the label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from slo.entity import IDENTITY
from slo.rules.document import comment, dump
from slo.spec import PartitionSLO, Severity
from slo.verdicts import NOT_SHOWN, AlertName

NODE_DOWN = ("KubeNodeNotReady", "KubeNodeUnreachable", "NodeDown")
"""Alerts of others that say that a whole node is gone; they have to carry `node`. kube-prometheus and common usage."""

_NOTE = """Receivers are here by name only: say how each is to be told (webhook_configs, slack_configs, pagerduty_configs, …).
To route a tenant's tickets to the tenant: --team NAMESPACE=RECEIVER.
In a configuration that exists already, take over the three routes, all inhibit_rules and the receivers."""

_SLO_ALERTS = tuple(name for name in AlertName if name is not AlertName.WATCHDOG)
_OURSELVES = "Slicewatch.*"
"""Alerts about slicewatch itself (alerts/slicewatch.yaml): who is paged for objectives is paged when nobody watches them."""

_LEVELS = (AlertName.FLEET, AlertName.NODE, AlertName.GPU)
_PARTITION = (AlertName.PARTITION, AlertName.UNMET)


@dataclass(frozen=True, slots=True)
class Receivers:
    """Whom to tell. `webhooks` are addresses by receiver; one without is there by name, to be filled in.

    `tenants` are receivers by namespace: the namespace's own tickets go there and nowhere else.
    """

    default: str = "default"
    page: str = "gpu-slo-page"
    ticket: str = "gpu-slo-ticket"
    watchdog: str = "gpu-slo-watchdog"
    tenants: Mapping[str, str] = field(default_factory=dict)
    webhooks: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Each receiver once."""
        return tuple(dict.fromkeys((self.default, self.page, self.ticket, self.watchdog, *self.tenants.values())))


def document(specs: Sequence[PartitionSLO], receivers: Receivers | None = None, said: str = "") -> str:
    """Write `config` as YAML, with what is left to be done."""
    return comment(f"{said}\n{_NOTE}".strip()) + dump(config(specs, receivers))


def config(specs: Sequence[PartitionSLO], receivers: Receivers | None = None) -> dict[str, Any]:
    """Return a whole Alertmanager configuration: route, inhibit_rules, receivers."""
    whom = receivers or Receivers()
    return {
        "route": _route(specs, whom),
        "inhibit_rules": inhibitions(specs),
        "receivers": [_receiver(name, whom) for name in whom.names],
    }


def inhibitions(specs: Sequence[PartitionSLO]) -> list[dict[str, Any]]:
    """Return what is not told because something that is told explains it."""
    site = _site(specs)
    equal = {
        AlertName.FLEET: [*site, "slo"],
        AlertName.NODE: [*site, "node", "slo"],
        AlertName.GPU: [*site, "node", "gpu", "slo"],
    }
    found = []
    for place, source in enumerate(_LEVELS):
        found.append(_inhibit([_is(source)], [_is(*_LEVELS[place + 1 :], *_PARTITION)], equal[source]))
    page = [_is(AlertName.PARTITION), f'severity="{Severity.PAGE}"']
    ticket = [_is(*_PARTITION), f'severity="{Severity.TICKET}"']
    found.append(_inhibit(page, ticket, [*site, *IDENTITY, "slo"]))
    found.append(_inhibit([_is(AlertName.TELEMETRY)], [_is(*_LEVELS[1:], *_PARTITION)], [*site, "node"]))
    gone = _inhibit(
        [_is(*NODE_DOWN)], [_is(*_LEVELS[1:], *_PARTITION, AlertName.TELEMETRY), 'node!=""'], [*site, "node"]
    )
    return [*found, gone]


def _route(specs: Sequence[PartitionSLO], whom: Receivers) -> dict[str, Any]:
    """Return the routing tree. Pages are bundled by SLO, so that a storm is a few messages; tickets by tenant."""
    site = _site(specs)
    tenants = [
        {"receiver": receiver, "matchers": [f"namespace={_quoted(namespace)}"]}
        for namespace, receiver in sorted(whom.tenants.items())
    ]
    watchdog = {
        "receiver": whom.watchdog,
        "matchers": [_is(AlertName.WATCHDOG)],
        "group_by": ["alertname"],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "1m",
    }
    page = {
        "receiver": whom.page,
        "matchers": [_is(*_SLO_ALERTS, NOT_SHOWN, _OURSELVES), f'severity="{Severity.PAGE}"'],
        "group_by": [*site, "slo", "severity"],
        "group_wait": "30s",
        "group_interval": "5m",
        "repeat_interval": "4h",
    }
    ticket = {
        "receiver": whom.ticket,
        "matchers": [_is(*_SLO_ALERTS, NOT_SHOWN, _OURSELVES), f'severity="{Severity.TICKET}"'],
        "group_by": [*site, "namespace", "slo"],
        "group_wait": "5m",
        "group_interval": "1h",
        "repeat_interval": "1d",
        **({"routes": tenants} if tenants else {}),
    }
    return {"receiver": whom.default, "group_by": ["alertname"], "routes": [watchdog, page, ticket]}


def _receiver(name: str, whom: Receivers) -> dict[str, Any]:
    address = whom.webhooks.get(name)
    # A message names at most so many alerts: whoever is told of 50 does not read the 51st.
    hook = {"url": address, "send_resolved": True, "max_alerts": 50}
    return {"name": name} | ({"webhook_configs": [hook]} if address else {})


def _inhibit(source: list[str], target: list[str], equal: list[str]) -> dict[str, Any]:
    return {"source_matchers": source, "target_matchers": target, "equal": equal}


def _is(*names: str) -> str:
    """Write the matcher of alerts by name."""
    return f'alertname="{names[0]}"' if len(names) == 1 else f'alertname=~"{"|".join(names)}"'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _site(specs: Sequence[PartitionSLO]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for spec in specs for label in spec.group_by))
