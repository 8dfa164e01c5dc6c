"""Whom a page names as owners of its devices. Pure.

A cross-check at most: the exporter's pod labels come late, go missing, or are another pod's (NVIDIA/dcgm-exporter#342, #272,
#568, #714).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

_NAMES = {
    "namespace": ("namespace", "pod_namespace"),
    "pod": ("pod", "pod_name"),
    "container": ("container", "container_name"),
}
"""What each is called since 2.x, and in the old namespace."""

_DRA = "dra_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """An owner as a row names it; empty is absent. `dra`: the labels `dra_…` without the prefix, sorted."""

    namespace: str = ""
    pod: str = ""
    container: str = ""
    pod_uid: str = ""
    vgpu: str = ""
    hpc_job: str = ""
    dra: tuple[tuple[str, str], ...] = ()
    values: Mapping[str, float] = field(default_factory=dict, hash=False)  # what the page says is this owner's part

    @property
    def owner(self) -> tuple[str, str, str]:
        """The pod or job that it names: two slots of one pod have one owner."""
        return self.namespace, self.pod, self.hpc_job


NOBODY = Hint()


def hint(labels: Mapping[str, str], *, relabelled: bool) -> Hint:
    """Who a row's labels say that its device belongs to.

    On a page that Prometheus relabelled, `pod` is the exporter's own and `exported_pod` the workload's.
    """
    prefix = "exported_" if relabelled else ""
    names = {
        part: next((found for name in spellings if (found := labels.get(prefix + name, ""))), "")
        for part, spellings in _NAMES.items()
    }
    return Hint(
        namespace=names["namespace"],
        pod=names["pod"],
        container=names["container"],
        pod_uid=labels.get("pod_uid", ""),
        vgpu=labels.get("vgpu", ""),
        hpc_job=labels.get("hpc_job", ""),
        dra=tuple(sorted((name[len(_DRA) :], text) for name, text in labels.items() if name.startswith(_DRA) and text)),
    )
