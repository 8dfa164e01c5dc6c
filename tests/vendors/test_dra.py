"""Claims, slices and the driver's checkpoint, from the API's JSON to records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from exporter.errors import SourceError
from exporter.records import ClaimUse, Prepared, Published
from exporter.sources.dra_checkpoint import Checkpoint, prepared
from exporter.vendors import dra
from tests.vendors.test_hami import JSON

U = "GPU-a4c123b1-612d-d272-d137-1c17149d4395"
UID = "50454f31-af31-7681-3e02-ea68ef786e4d"


def claim_object(*results: dict[str, Any], config: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    devices = {"results": list(results), "config": config or []}
    return {
        "metadata": {"uid": UID, "name": "c", "namespace": "team"},
        "status": {"allocation": {"devices": devices}},
    }


def result(request: str = "gpu", driver: str = "gpu.nvidia.com", **more: Any) -> dict[str, Any]:
    return {"request": request, "driver": driver, "pool": "n1", "device": "gpu-0", **more}


def sharing(requests: list[str] | None, strategy: str, driver: str = "gpu.nvidia.com", **mps: Any) -> dict[str, Any]:
    parameters = {"kind": "GpuConfig", "sharing": {"strategy": strategy, "mpsConfig": mps}}
    found: dict[str, Any] = {"opaque": {"driver": driver, "parameters": parameters}}
    return found if requests is None else {**found, "requests": requests}


@pytest.mark.parametrize(
    ("config", "strategy"),
    [
        ([], ""),
        ([sharing(None, "MPS")], "MPS"),
        ([sharing(["gpu"], "TimeSlicing"), sharing(None, "MPS")], "TimeSlicing"),
        ([sharing(["gpu"], "TimeSlicing"), sharing(["gpu"], "MPS")], "MPS"),
        ([sharing(["other"], "MPS")], ""),
        ([sharing(["gpu"], "MPS", driver="nic.example.com")], ""),
        ([sharing(None, "TimeSlicing"), sharing(None, "MPS")], "MPS"),
    ],
)
def test_the_last_configuration_that_names_the_request_applies_else_the_last_for_all(
    config: list[dict[str, Any]], strategy: str
) -> None:
    found = dra.claim(claim_object(result("gpu/big"), config=config))
    assert found is not None
    assert (found.results[0].strategy, found.results[0].request) == (strategy, "gpu")


def test_the_limits_of_mps() -> None:
    limits = {"0": "10Gi", U: "5120Mi"}
    config = [
        sharing(
            None,
            "MPS",
            defaultActiveThreadPercentage=40,
            defaultPinnedDeviceMemoryLimit="8Gi",
            defaultPerDevicePinnedMemoryLimit=limits,
        )
    ]
    found = dra.claim(claim_object(result(), config=config))
    assert found is not None
    assert found.results[0].threads == 0.4
    assert found.results[0].pinned == {"0": 10.0 * 2**30, U: 5.0 * 2**30, "": 8.0 * 2**30}


def test_admin_access_shares_and_consumed_capacity() -> None:
    found = dra.claim(claim_object(result(adminAccess=True), result(shareID="s1", consumedCapacity={"memory": "10Gi"})))
    assert found is not None
    admin, share = found.results
    assert (admin.admin, share.admin, share.share, share.capacity) == (True, False, "s1", {"memory": 10.0 * 2**30})


def test_devices_of_other_drivers_are_no_gpus() -> None:
    found = dra.claim(claim_object(result(driver="cpu.example.com")))
    assert found is not None
    assert found.results == ()


@pytest.mark.parametrize("wrapped", [False, True], ids=["v1", "v1beta1"])
def test_a_slice_of_either_version(*, wrapped: bool) -> None:
    body = {"attributes": {"uuid": {"string": U}, "profile": {"string": "3g.40gb"}}}
    device = {"name": "gpu-0", **({"basic": body} if wrapped else body)}
    spec = {"driver": "gpu.nvidia.com", "pool": {"name": "n1"}, "devices": [device, {"name": "gpu-1-mig-1g10gb-19-0"}]}
    assert list(dra.published({"spec": spec})) == [
        Published(driver="gpu.nvidia.com", pool="n1", name="gpu-0", uuid=U, profile="3g.40gb"),
        Published(driver="gpu.nvidia.com", pool="n1", name="gpu-1-mig-1g10gb-19-0"),
    ]


def test_which_container_uses_which_request_of_which_claim() -> None:
    spec = {
        "resourceClaims": [
            {"name": "g", "resourceClaimName": "shared"},
            {"name": "t", "resourceClaimTemplateName": "x"},
        ],
        "containers": [
            {"name": "a", "resources": {"claims": [{"name": "g", "request": "one"}, {"name": "t"}]}},
            {"name": "b", "resources": {"claims": [{"name": "g", "request": "two/big"}]}},
        ],
    }
    status = {
        "resourceClaimStatuses": [{"name": "t", "resourceClaimName": "pod-t-x7k2p"}],
        "extendedResourceClaimStatus": {
            "resourceClaimName": "pod-extended",
            "requestMappings": [{"containerName": "b", "requestName": "r0", "resourceName": "nvidia.com/gpu"}],
        },
    }
    assert dra.claim_uses(spec, status) == (
        ClaimUse("a", "shared", "one"),
        ClaimUse("a", "pod-t-x7k2p"),
        ClaimUse("b", "shared", "two"),
        ClaimUse("b", "pod-extended", "r0"),
    )


@settings(max_examples=300, deadline=None)
@given(JSON, JSON, JSON)
def test_no_object_hurts(one: Any, other: Any, third: Any) -> None:
    for whole in (
        one,
        {
            "metadata": {"uid": "u", "name": "n"},
            "status": {"allocation": {"devices": {"results": one, "config": other}}},
        },
    ):
        dra.claim(whole)
    list(dra.published({"spec": {"driver": "gpu.nvidia.com", "pool": one, "devices": other}}))
    dra.claim_uses({"containers": one, "resourceClaims": other}, {"resourceClaimStatuses": third})
    list(prepared({"v2": {"preparedClaims": {"u": one, "w": {"preparedDevices": other, "status": third}}}}, "boot"))


# --- the checkpoint ---


def checkpoint(state: str = "PrepareCompleted", boot: str = "boot-1") -> dict[str, Any]:
    device = {"PoolName": "n1", "DeviceName": "gpu-1-mig-3g40gb-9-0"}
    instance = {"parentMinor": 1, "giId": 1, "ciId": 0, "migUUID": "MIG" + U[3:], "parentUUID": U}
    claims = {
        UID: {
            "checkpointState": state,
            "preparedDevices": [{"devices": [{"mig": {"concrete": instance, "device": device}}]}],
        }
    }
    return {"checksum": 1, "v2": {"preparedClaims": claims, "nodeBootID": boot}}


@pytest.mark.parametrize(
    ("state", "boot", "ready"),
    [
        ("PrepareCompleted", "boot-1", True),
        ("PrepareCompleted", "", True),
        ("PrepareStarted", "boot-1", False),
        ("PrepareCompleted", "boot-0", False),
    ],
)
def test_what_is_prepared_in_this_boot(tmp_path: Path, state: str, boot: str, *, ready: bool) -> None:
    (tmp_path / "c.json").write_text(json.dumps(checkpoint(state, boot)))
    (tmp_path / "sys" / "kernel" / "random").mkdir(parents=True)
    (tmp_path / "sys" / "kernel" / "random" / "boot_id").write_text("boot-1\n")
    (found,) = Checkpoint(str(tmp_path / "c.json"), str(tmp_path)).read(0.0)
    name = "gpu-1-mig-3g40gb-9-0"
    assert found == Prepared(
        claim=UID, driver="gpu.nvidia.com", pool="n1", device=name, uuid="MIG" + U[3:], ready=ready
    )


def test_a_claim_whose_preparation_left_nothing_is_known_by_its_allocation() -> None:
    status = {"allocation": {"devices": {"results": [result()]}}}
    tree = {"v2": {"preparedClaims": {UID: {"checkpointState": "PrepareStarted", "status": status}}}}
    (found,) = prepared(tree, "")
    assert (found.device, found.uuid, found.ready) == ("gpu-0", "", False)


@pytest.mark.parametrize("body", ["", "{", "[]", "{}", '{"v1": {}}', '{"v9": {"preparedClaims": {}}}', '{"v2": 3}'])
def test_a_checkpoint_of_another_release_is_refused_and_not_guessed(tmp_path: Path, body: str) -> None:
    (tmp_path / "c.json").write_text(body)
    with pytest.raises(SourceError):
        Checkpoint(str(tmp_path / "c.json")).read(0.0)


def test_without_a_checkpoint_nothing_is_prepared_and_a_directory_is_none(tmp_path: Path) -> None:
    assert Checkpoint(str(tmp_path / "none")).read(0.0) == ()
    with pytest.raises(SourceError):
        Checkpoint(str(tmp_path)).read(0.0)
