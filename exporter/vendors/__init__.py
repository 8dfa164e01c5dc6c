"""What each scheduler writes on the pods of a node, as values of `exporter.records`: one file a vendor, nothing judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.records import Grant
from exporter.vendors import hami, kai
from exporter.vendors.text import PodText, mapping, mappings, text


def grants_of(meta: Mapping[str, Any], spec: Mapping[str, Any]) -> tuple[Grant, ...]:
    """Every record that a pod's metadata holds. Never raises: what no vendor writes so is no record."""
    pod = PodText(
        namespace=text(meta.get("namespace")),
        annotations=_texts(meta.get("annotations")),
        labels=_texts(meta.get("labels")),
        init_containers=tuple(text(each.get("name")) for each in mappings(spec.get("initContainers"))),
        containers=tuple(text(each.get("name")) for each in mappings(spec.get("containers"))),
        environment={
            (text(container.get("name")), text(variable.get("name"))): text(variable.get("value"))
            for key in ("initContainers", "containers")
            for container in mappings(spec.get(key))
            for variable in mappings(container.get("env"))
        },
    )
    return (*hami.grants(pod), *kai.grants(pod))


def _texts(value: object) -> Mapping[str, str]:
    return {key: item for key, item in mapping(value).items() if isinstance(item, str)}
