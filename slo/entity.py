"""Whose budget it is: a partition, told apart by the contract's identity labels and by those that a site adds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.catalogue import PartitionKey

IDENTITY: tuple[str, ...] = PartitionKey._fields
"""Labels that every series of a partition has: gpu, device, namespace, pod, container."""

FACTS: tuple[str, ...] = ("node", "sharing", "resource", "profile", "workload_kind", "workload")
"""Labels of `gpu_partition_info` that a marker carries for selecting, routing and rolling up."""

NO_CLASS = "none"
"""Promise class of a partition of which nothing is promised in that dimension."""


class Entity(NamedTuple):
    """A partition of the fleet. `site` holds the values of a spec's `groupBy` labels, in its order."""

    site: tuple[str, ...]
    gpu: str
    device: str
    namespace: str
    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an entity beyond who it is; empty text for what is not."""

    node: str = ""
    sharing: str = ""
    resource: str = ""
    profile: str = ""
    workload_kind: str = ""
    workload: str = ""
    classes: Mapping[str, str] = field(default_factory=dict)  # dimension ("compute", "memory") → promise class

    def klass(self, dimension: str) -> str:
        """Return the promise class of a dimension."""
        return self.classes.get(dimension, NO_CLASS)


def labels(entity: Entity, site_labels: tuple[str, ...]) -> dict[str, str]:
    """Return an entity's labels by name; `site_labels` names the values in `entity.site`."""
    own = zip(IDENTITY, entity[1:], strict=True)
    return dict(zip(site_labels, entity.site, strict=True)) | dict(own)
