"""HAMi's and Volcano's annotations: what they give, to whom, and that nothing in them can hurt."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.ids import GpuId, MigId
from exporter.records import Grant, Sharing
from exporter.sources.pods import slim
from exporter.vendors import grants_of

U, V = "GPU-8b0e7153-bf7c-3706-d85c-524e44006655", "GPU-9a6656c9-0bd5-482a-90a2-9b9fa5ff5180"
MIB = 1 << 20
KEY = "hami.io/vgpu-devices-allocated"


def grants(
    annotations: dict[str, str], containers: tuple[str, ...] = ("main",), init: tuple[str, ...] = (), **env: str
) -> tuple[Grant, ...]:
    variables = [{"name": name, "value": value} for name, value in env.items()]
    spec = {
        "containers": [{"name": name, "env": variables} for name in containers],
        "initContainers": [{"name": name} for name in init],
    }
    return grants_of({"namespace": "team", "annotations": annotations}, spec)


def told(found: tuple[Grant, ...]) -> list[tuple[str, str, float | None, float | None]]:
    return [(g.container, getattr(g.device, "uuid", ""), g.compute, g.memory_bytes) for g in found]


@pytest.mark.parametrize(
    ("written", "containers", "init", "expected"),
    [
        (f"{U},NVIDIA,12000,30:;", ("main",), (), [("main", U, 0.3, 12000 * MIB)]),
        (f"{U},NVIDIA,12000,30:", ("main",), (), [("main", U, 0.3, 12000 * MIB)]),
        (f"{U},NVIDIA,20000,0:;", ("main",), (), [("main", U, None, 20000 * MIB)]),
        (f"{U},NVIDIA,100,100:{V},NVIDIA,200,50:;", ("main",), (), [("main", U, 1.0, 100 * MIB), ("main", V, 0.5, 200 * MIB)]),
        # Positional, with an empty segment for each container that was given nothing.
        (f";{U},NVIDIA,100,10:;", ("a", "b"), (), [("b", U, 0.1, 100 * MIB)]),
        (f";{U},NVIDIA,100,10:;", ("main",), ("warm",), [("main", U, 0.1, 100 * MIB)]),
        (f"{U},NVIDIA,100,10:;{V},NVIDIA,100,10:;", ("main",), ("warm",), [("warm", U, 0.1, 100 * MIB), ("main", V, 0.1, 100 * MIB)]),
        # Releases that did not count init containers.
        (f"{U},NVIDIA,100,10:;", ("main",), ("warm",), [("main", U, 0.1, 100 * MIB)]),
        # More segments than containers: whose is whose cannot be told.
        (f"{U},NVIDIA,100,10:;;;", ("main",), (), []),
        ("", ("main",), (), []),
        (";", ("main",), (), []),
        (f"{U},NVIDIA,100:", ("main",), (), []),
        ("all,NVIDIA,100,10:", ("main",), (), []),
        (f"{U}::3,NVIDIA,100,10:", ("main",), (), []),
        (f"{U}-3,NVIDIA,100,10:", ("main",), (), []),
    ],
)  # fmt: skip
def test_what_the_annotation_gives(
    written: str, containers: tuple[str, ...], init: tuple[str, ...], expected: list[Any]
) -> None:
    assert told(grants({KEY: written}, containers, init)) == expected


@pytest.mark.parametrize("amounts", ["x,30", "12000,x", "12000,101", "-5,30", "0,30", "9" * 40 + ",30", "12000,٣", ","])
def test_amounts_that_are_none_are_promised_and_illegible(amounts: str) -> None:
    (grant,) = grants({KEY: f"{U},NVIDIA,{amounts}:;"})
    assert not grant.legible
    assert (grant.compute, grant.memory_bytes) == (None, None)


def test_volcano_writes_the_same_text_under_another_name() -> None:
    (grant,) = grants({"volcano.sh/vgpu-ids-new": f"{U},NVIDIA,4096,25:;"})
    assert (grant.sharing, grant.resource, grant.compute) == (Sharing.HAMI, "volcano.sh/vgpu-number", 0.25)


@pytest.mark.parametrize(("value", "off"), [("true", True), ("True", True), ("false", False), ("", False)])
def test_the_opt_out_stands_in_the_pods_specification(value: str, *, off: bool) -> None:
    (grant,) = grants({KEY: f"{U},NVIDIA,100,10:;"}, CUDA_DISABLE_CONTROL=value)
    assert grant.unhooked is off


def test_an_instance_that_hami_made_comes_before_the_slots() -> None:
    made = [{"containerIndex": 0, "gpuUUID": U, "profile": "1g.10gb", "migUUID": "MIG" + U[3:], "gpuInstanceID": 7}]
    found = grants({KEY: f"{U},NVIDIA,9984,0:;", "hami.io/vgpu-mig-allocations": json.dumps(made)})
    assert found == (Grant(sharing=Sharing.MIG, container="main", device=MigId("MIG" + U[3:]), profile="1g.10gb"),)


@pytest.mark.parametrize(
    "written",
    [
        "{",
        "[1]",
        "null",
        '{"a": 1}',
        "[" * 100_000,
        '[{"containerIndex": 9}]',
        '[{"containerIndex": "0"}]',
        '[{"containerIndex": -1}]',
    ],
)
def test_nonsense_about_instances_is_no_record(written: str) -> None:
    assert grants({"hami.io/vgpu-mig-allocations": written}) == ()


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=f"{U};,:0123456789NVIDIA-x\n٣", max_size=400))
def test_no_text_hurts(written: str) -> None:
    for grant in grants({KEY: written, "volcano.sh/vgpu-ids-new": written, "hami.io/vgpu-mig-allocations": written}):
        assert isinstance(grant.device, GpuId | MigId)
        assert grant.compute is None or 0 < grant.compute <= 1
        assert grant.memory_bytes is None or 0 < grant.memory_bytes < 1 << 51


def test_what_is_too_long_is_not_looked_at_and_what_is_too_many_is_cut() -> None:
    one = f"{U},NVIDIA,100,10:"
    assert grants({KEY: one * 5000}) == ()  # longer than any scheduler's
    assert len(grants({KEY: one * 1000})) == 64


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    st.fixed_dictionaries({"uid": st.just("u"), "name": st.just("n"), "annotations": JSON, "labels": JSON}),
    st.fixed_dictionaries({}, optional={"containers": JSON, "initContainers": JSON, "resourceClaims": JSON}),
    JSON,
)
def test_a_pod_of_any_shape_is_slimmed(meta: dict[str, Any], spec: dict[str, Any], status: Any) -> None:
    pod = slim({"metadata": meta, "spec": spec, "status": status})
    assert pod is not None
    assert all(isinstance(grant, Grant) for grant in pod.grants)
