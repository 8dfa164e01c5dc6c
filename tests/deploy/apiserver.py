"""What an API server would say of an object: Kubernetes' schemas, and models made from Prometheus Operator's CRDs."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
from cloudcoil.models.prometheus_operator import v1, v1alpha1

from tests.deploy.objects import Object

KUBERNETES = "1.32"
OPERATOR: dict[str, Any] = {
    "PodMonitor": v1.PodMonitor,
    "ServiceMonitor": v1.ServiceMonitor,
    "PrometheusRule": v1.PrometheusRule,
    "AlertmanagerConfig": v1alpha1.AlertmanagerConfig,
}
"""Models that are generated from the operator's CRDs; they ignore what they do not know, which `faults` looks for."""


def faults(found: Object) -> list[str]:
    """What an API server with Prometheus Operator would refuse or drop."""
    model = OPERATOR.get(found["kind"])
    try:
        if model is None:
            kubernetes_validate.validate(found, KUBERNETES, strict=True)
            return []
        kept = model.model_validate(found).model_dump(by_alias=True, exclude_unset=True, mode="json")
    except (ValueError, kubernetes_validate.ValidationError) as error:
        return [str(error)]
    return sorted(_paths(found) - _paths(kept))


def _paths(value: Any, at: str = "") -> set[str]:
    match value:
        case dict():
            return {at} | {path for key, each in value.items() for path in _paths(each, f"{at}/{key}")}
        case list():
            return {at} | {path for place, each in enumerate(value) for path in _paths(each, f"{at}/{place}")}
        case _:
            return {at}
