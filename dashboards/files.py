"""The dashboards as the JSON that Grafana imports."""

from __future__ import annotations

import json
from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import fleet, node, slo, tenant

FOLDER = "dashboards/json"


SCHEMA_VERSION = 39
"""Of Grafana 10.4, the oldest that is meant: a newer one migrates it, an older one would take a newer one for its own."""


def files() -> Mapping[str, str]:
    """Return each dashboard's text by its path in the repository."""
    boards = {"fleet": fleet, "node": node, "tenant": tenant, "slo": slo}
    return {f"{FOLDER}/{name}.json": _text(board.dashboard()) for name, board in boards.items()}


def _text(board: Dashboard) -> str:
    """A dashboard's JSON: panels have ids, and nothing that only the newest Grafana knows is in it."""
    found = json.loads(JSONEncoder().encode(board.build()))
    found["schemaVersion"] = SCHEMA_VERSION
    for number, panel in enumerate(found["panels"], 1):
        panel["id"] = number
    for link in found["links"]:
        link.pop("placement", None)
    return json.dumps(found, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
