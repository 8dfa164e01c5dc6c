"""KAI's and Run:ai's annotations and labels."""

from __future__ import annotations

import pytest

from exporter.ids import GpuId
from exporter.records import Grant, Role, Sharing
from exporter.vendors import grants_of

U = "GPU-1df06ef8-51fa-27b1-d4bc-d98e59b4e7ec"
GROUP = {"runai-gpu-group": "g1"}


def grants(
    annotations: dict[str, str], labels: dict[str, str] | None = None, namespace: str = "team"
) -> tuple[Grant, ...]:
    meta = {"namespace": namespace, "annotations": annotations, "labels": GROUP if labels is None else labels}
    return grants_of(meta, {"containers": [{"name": "main"}, {"name": "side"}]})


@pytest.mark.parametrize(
    ("annotations", "container", "resource", "compute", "memory"),
    [
        ({"gpu-fraction": "0.5"}, "main", "gpu-fraction", 0.5, None),
        ({"gpu-fraction": ".25"}, "main", "gpu-fraction", 0.25, None),
        ({"gpu-fraction": "1"}, "main", "gpu-fraction", 1.0, None),
        ({"gpu-memory": "9216"}, "main", "gpu-memory", None, 9216 * 1024 * 1024),
        ({"gpu-fraction": "0.5", "gpu-fraction-container-name": "side"}, "side", "gpu-fraction", 0.5, None),
        ({"gpu-fraction": "0.5", "gpu-fraction-container-name": "none"}, "main", "gpu-fraction", 0.5, None),
    ],
)
def test_what_is_asked(
    annotations: dict[str, str], container: str, resource: str, compute: float | None, memory: float | None
) -> None:
    (grant,) = grants(annotations)
    assert (grant.sharing, grant.group, grant.legible) == (Sharing.KAI, "g1", True)
    assert (grant.container, grant.resource, grant.compute, grant.memory_bytes) == (
        container,
        resource,
        compute,
        memory,
    )


@pytest.mark.parametrize("share", ["0", "1.5", "-0.5", "half", "1e-3", "NaN", "", "٠.٥", "0." + "5" * 400])
def test_a_fraction_that_is_none_is_illegible(share: str) -> None:
    (grant,) = grants({"gpu-fraction": share})
    assert (grant.compute, grant.legible) == (None, False)


def test_several_devices_have_a_group_each() -> None:
    labels = {"runai-gpu-group/a": "a", "runai-gpu-group/b": "b"}
    assert [(g.group, g.compute) for g in grants({"gpu-fraction": "0.5"}, labels)] == [("a", 0.5), ("b", 0.5)]


def test_a_pod_in_the_schedulers_namespace_holds_the_device_for_its_group() -> None:
    for namespace in ("kai-resource-reservation", "runai-reservation"):
        (grant,) = grants({"run.ai/reserve_for_gpu_index": U}, namespace=namespace)
        assert (grant.role, grant.group, grant.device) == (Role.RESERVATION, "g1", GpuId(U))


@pytest.mark.parametrize(
    ("annotations", "labels"),
    [({}, GROUP), ({"gpu-fraction": "0.5"}, {}), ({"gpu-fraction": "0.5"}, {"runai-gpu-group": ""})],
)
def test_without_a_group_or_an_amount_there_is_no_record(annotations: dict[str, str], labels: dict[str, str]) -> None:
    assert grants(annotations, labels) == ()
