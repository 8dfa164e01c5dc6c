"""The generated files of deploy/: rules and routing as objects of Prometheus Operator, and the same as files of the chart.

An object holds the rules of one objective: all of them would not fit into the annotation in which `kubectl apply` keeps what
it applied, 256 KiB at most (k8s.io/apimachinery, api/validation, TotalAnnotationSizeLimitB).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from slo.rules import document
from slo.rules.document import comment, dump
from slo.rules.model import Group
from slo.rules.texts import Links
from slo.spec import PartitionSLO

_COMPONENTS = "deploy/kustomize/components"
_CHART = "deploy/chart/files"
_MATCHER = re.compile(r'(?P<name>\w+)(?P<type>=~|!~|!=|=)"(?P<value>.*)"')

_ROUTING = """The operator puts `namespace="slicewatch"` before every route and inhibition of such an object, but alerts carry the tenants'
namespaces: the Alertmanager has to say `alertmanagerConfigMatcherStrategy: {type: None}`.
Receivers are here by name only: say how each is to be told (webhookConfigs, slackConfigs, pagerdutyConfigs, …)."""


def files(specs: Sequence[PartitionSLO], ours: str, config: Mapping[str, Any], said: str) -> Mapping[str, str]:
    """Return the files by their paths. `ours` is alerts/slicewatch.yaml, `config` Alertmanager's configuration."""
    groups = _by_object(specs)
    routes = routing(config)
    head = {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {"name": "slicewatch"},
    }
    return {
        f"{_COMPONENTS}/prometheus-operator/rules.yaml": comment(said) + _rule_object("slicewatch", ours),
        f"{_COMPONENTS}/prometheus-operator/alertmanagerconfig.yaml": comment(f"{said}\n{_ROUTING}")
        + dump(head | {"spec": routes}),
        f"{_COMPONENTS}/slo-rules/rules.yaml": comment(said)
        + "---\n".join(document.operator(each, name) for name, each in groups.items()),
        f"{_CHART}/rules/slicewatch.yaml": ours,
        f"{_CHART}/alertmanagerconfig.yaml": comment(said) + dump(routes),
        **{f"{_CHART}/slo-rules/{name}.yaml": document.prometheus(each, said) for name, each in groups.items()},
    }


def routing(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec of an AlertmanagerConfig that does what a configuration's route and inhibitions do.

    Its root takes only what one of its routes takes: other alerts of the Alertmanager are none of its business.
    """
    route = _route(config["route"])
    taken = [
        matcher["value"] for each in route["routes"] for matcher in each["matchers"] if matcher["name"] == "alertname"
    ]
    route["matchers"] = [{"name": "alertname", "matchType": "=~", "value": "|".join(dict.fromkeys(taken))}]
    return {
        "route": route,
        "inhibitRules": [
            {
                "sourceMatch": _matchers(each["source_matchers"]),
                "targetMatch": _matchers(each["target_matchers"]),
                "equal": each["equal"],
            }
            for each in config["inhibit_rules"]
        ],
        "receivers": [{"name": each["name"]} for each in config["receivers"]],
    }


def _by_object(specs: Sequence[PartitionSLO]) -> dict[str, Sequence[Group]]:
    links = Links()
    found: dict[str, Sequence[Group]] = {f"gpu-slo-{spec.name}": document.of_one(spec, links) for spec in specs}
    return found | {f"gpu-slo-{document.SHARED}": document.shared(specs, links)}


def _rule_object(name: str, groups: str) -> str:
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": name}}
    return f"{dump(head)}spec:\n{textwrap.indent(groups, '  ')}"


def _route(route: Mapping[str, Any]) -> dict[str, Any]:
    words = {"group_by": "groupBy", "group_wait": "groupWait", "group_interval": "groupInterval"}
    words |= {"repeat_interval": "repeatInterval", "receiver": "receiver"}
    found: dict[str, Any] = {words[key]: value for key, value in route.items() if key in words}
    if "matchers" in route:
        found["matchers"] = _matchers(route["matchers"])
    if "routes" in route:
        found["routes"] = [_route(each) for each in route["routes"]]
    return found


def _matchers(texts: Sequence[str]) -> list[dict[str, str]]:
    """Parse Alertmanager's matchers. Raises ValueError for one that the rules of slicewatch never write."""
    found = []
    for text in texts:
        match = _MATCHER.fullmatch(text)
        if match is None:
            raise ValueError(f"not a matcher: {text}")
        found.append({"name": match["name"], "matchType": match["type"], "value": match["value"]})
    return found
