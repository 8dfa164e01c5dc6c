"""Every reader of what others write, with what is fed to it and what must hold of its answer.

`python -m bench.fuzz` runs the same for longer. A reader may raise SourceError; anything else is a fault of it.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from exporter import ids
from exporter.errors import SourceError
from exporter.model import Missing, Pod, Sharing
from exporter.records import Claim, Limit
from exporter.sources import podresources_pb2 as pb
from exporter.sources.dra_checkpoint import Checkpoint
from exporter.sources.hami_region import HEAD, SIZE, HookLimits, parse_head
from exporter.sources.mps_control import limit
from exporter.sources.podresources import decoded, held, offered
from exporter.sources.pods import slim
from exporter.sources.procfs import Procfs, parse_stat, pods_of_cgroup
from exporter.vendors import dra
from tests.fakes.procfs import FakeProcfs, stat_line
from tests.fuzz.hostile import GPU, MIG, NUMBERS, OTHER, UID, grafted, mangled, patched, texts, trees
from tests.join.worlds import allocations, evidence, gpu, gpu_id, holds, pod, pods, reading, think
from tests.vendors.regions import put, region


@dataclass(frozen=True)
class Reader:
    """`feed` draws what is read; `read` reads it and asserts what must hold. `most` examples in a test's run."""

    name: str
    feed: st.SearchStrategy[Any]
    read: Callable[[Any], None]
    most: int = 300


# --- ids ---

_UUID = re.compile(r"(GPU|MIG)-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_SPELLINGS = (GPU, MIG, f"{GPU}::3", f"MIG-{GPU}/7/0::1", "nvidia1/gi3/vgpu2", f"{GPU}-4")


_NUMBER = st.sampled_from(NUMBERS)
_SPELLED = st.builds(
    lambda prefix, uuid, tail, *numbers: prefix + uuid + tail.format(*numbers),
    st.sampled_from(("GPU-", "gpu-", "MIG-", "M\u0130G-", "m\u0131g-", "MIG-GPU-", "MIG-gpu-")),
    st.sampled_from((GPU[4:], GPU[4:].upper(), OTHER[4:])),
    st.sampled_from(("", "::{0}", "-{0}", "/{0}/{1}", "/{0}/{1}::{2}", "::{0}::{1}")),
    *(_NUMBER,) * 3,
)


def _read_id(text: str) -> None:
    found = ids.parse(text)
    if isinstance(found, ids.UnknownId):
        assert found.text == text
        return
    uuid = getattr(found, "uuid", getattr(found, "gpu", None))
    assert uuid is None or _UUID.fullmatch(uuid)
    numbers = [getattr(found, name, None) for name in ("replica", "minor", "gpu_instance", "compute_instance")]
    assert all(number is None or 0 <= number < 10**9 for number in numbers)
    assert ids.parse(text) == found
    named = ids.claimed_name(text)
    assert named is None or 0 <= named.minor < 10**9


# --- HAMi's region ---

_GOOD = region({GPU: (12 << 30, 30), OTHER: (1 << 30, 100)})


def _sound(found: Limit) -> None:
    assert found.compute is None or 0 < found.compute < 1
    assert found.memory_bytes is None or 0 < found.memory_bytes < 1 << 50


def _read_head(head: bytes) -> None:
    found = parse_head(head)
    if found is not None:
        assert len(head) == HEAD
        assert all(_UUID.fullmatch(uuid) for uuid in found.limits)
        for each in found.limits.values():
            _sound(each)


def _read_regions(files: dict[str, tuple[bytes, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for file, (head, size) in files.items():
            os.truncate(put(Path(name), UID, "main", head, file), size)
        key = (UID, "main", GPU)
        found = HookLimits(name).read([key], 0.0)[key]
        if isinstance(found, Limit):
            _sound(found)
        else:
            assert isinstance(found, Missing)


_HEADS = st.builds(
    lambda limits, version, count: region(limits, version=version, count=count, size=HEAD),
    st.dictionaries(
        texts(GPU).map(lambda text: text.encode("utf-8", "replace")[:96].decode("utf-8", "ignore")),
        st.tuples(
            st.sampled_from((0, 1, 12 << 30, 1 << 50, 2**64 - 1)), st.sampled_from((0, 1, 99, 100, 101, 2**64 - 1))
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(((1, 1), (1, 2), (1, 3), (0, 2))),
    st.sampled_from((0, 1, 2, 3, 16, 17, 2**32, 2**64 - 1)),
)


_NAMES = st.sampled_from(("a.cache", "b.cache", ".cache", "a", "c.cache.tmp"))
_BODIES = st.tuples(
    st.binary(max_size=64) | patched(lambda: _GOOD[:4096], 4096),
    st.sampled_from((SIZE, SIZE, SIZE - 1, SIZE + 1, 0, HEAD)),
)

# --- cgroups and procfs ---

_OWN = f"/kubepods.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/cri-containerd-{'a' * 64}.scope"
_VICTIM = "11111111-2222-3333-4444-555555555555"
_CGROUPS = (
    f"/kubepods/pod{_VICTIM}/{'b' * 64}",
    f"0::/kubepods/pod{_VICTIM}",
    f"-pod{_VICTIM}.slice",
    " (deleted)",
    ":",
    "0::/",
)


_PIECES = (
    "\r",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x85",
    "\u2028",
    "0::",
    f"/pod{_VICTIM}",
    f"-pod{_VICTIM}.slice",
    f"/{'b' * 64}",
    "/",
    "x",
)
_BELOW = st.lists(st.sampled_from(_PIECES), max_size=10).map("".join) | texts(*_CGROUPS)


def _read_cgroup(text: str) -> None:
    for found in pods_of_cgroup(text):
        assert re.fullmatch(r"[0-9a-f-]{32,36}", found.pod_uid)
        assert found.container_id is None or re.fullmatch("[0-9a-f]{64}", found.container_id)


def _read_tenants_cgroup(below: str) -> None:
    """Whatever a tenant calls the cgroups below its own container's, its own pod is the outermost."""
    outermost = pods_of_cgroup(f"0::{_OWN}/{below.replace(chr(10), '')}\n")[-1]
    assert (outermost.pod_uid, outermost.container_id) == (UID, "a" * 64)


def _read_procfs(files: tuple[bytes, bytes]) -> None:
    with tempfile.TemporaryDirectory() as name:
        procfs = FakeProcfs(Path(name))
        procfs.put(7, "python", _OWN)
        for file, body in zip(("stat", "cgroup"), files, strict=True):
            (Path(name) / "7" / file).write_bytes(body)
        for facts in Procfs(name).read([7, 8]).values():
            assert facts.pid == 7
            assert 0 <= facts.started < 10**20


def _read_stat(text: str) -> None:
    found = parse_stat(text)
    assert found is None or 0 <= found.started < 10**20


# --- the kubelet ---


def _listed() -> bytes:
    answer = pb.ListPodResourcesResponse()
    container = answer.pod_resources.add(name="a", namespace="team").containers.add(name="main")
    container.devices.add(resource_name="nvidia.com/gpu", device_ids=[GPU, f"{OTHER}::2"])
    claimed = container.dynamic_resources.add(claim_name="c", claim_namespace="team")
    claimed.claim_resources.add(driver_name="gpu.nvidia.com", pool_name="n", device_name="gpu-0")
    return answer.SerializeToString()


def _read_answer(body: bytes) -> None:
    with suppress(SourceError):
        rows = held(decoded(body, pb.ListPodResourcesResponse, "kubelet"))
        assert len(set(rows)) == len(rows)
    with suppress(SourceError):
        offered(decoded(body, pb.AllocatableResourcesResponse, "kubelet"))


# --- records on pods, claims, slices ---

_POD: dict[str, Any] = {
    "metadata": {
        "uid": UID,
        "name": "a",
        "namespace": "kai-resource-reservation",
        "annotations": {
            "hami.io/vgpu-devices-allocated": f"{GPU},NVIDIA,8000,30:;",
            "hami.io/vgpu-mig-allocations": json.dumps([{"containerIndex": 0, "migUUID": MIG, "profile": "1g.10gb"}]),
            "volcano.sh/vgpu-ids-new": f"{OTHER},NVIDIA,8000,30:;",
            "gpu-fraction": "0.5",
            "gpu-memory": "9216",
            "gpu-fraction-container-name": "main",
            "run.ai/reserve_for_gpu_index": GPU,
        },
        "labels": {"runai-gpu-group": "g", "runai-gpu-group/h": "h"},
        "ownerReferences": [{"kind": "ReplicaSet", "name": "a-1", "controller": True}],
    },
    "spec": {
        "containers": [
            {
                "name": "main",
                "env": [{"name": "CUDA_DISABLE_CONTROL", "value": "true"}],
                "resources": {"claims": [{"name": "g", "request": "r/big"}]},
            }
        ],
        "initContainers": [{"name": "warm"}],
        "resourceClaims": [{"name": "g", "resourceClaimName": "c"}],
    },
    "status": {
        "phase": "Running",
        "containerStatuses": [{"name": "main", "containerID": f"containerd://{'a' * 64}", "state": {"running": {}}}],
        "resourceClaimStatuses": [{"name": "t", "resourceClaimName": "c-1"}],
        "extendedResourceClaimStatus": {"resourceClaimName": "x", "requestMappings": [{"containerName": "main"}]},
    },
}


def _text(tree: Any) -> str:
    return json.dumps(tree)


_POD_KEYS = (
    "metadata",
    "annotations",
    "labels",
    "spec",
    "containers",
    "env",
    "name",
    "value",
    "status",
    "uid",
    "claims",
)


def _read_pod(tree: Any) -> None:
    found = slim(tree)
    if found is None:
        return
    assert isinstance(found, Pod)
    for grant in found.grants:
        assert isinstance(grant.container, str)
        assert grant.compute is None or 0 < grant.compute <= 1
        assert grant.memory_bytes is None or 0 < grant.memory_bytes < 1 << 51
        assert isinstance(grant.device, ids.GpuId | ids.MigId | None)
    assert len(found.claim_uses) <= 256


_RECORDS = {
    "hami.io/vgpu-devices-allocated": texts() | mangled((f"{GPU},NVIDIA,8000,30:;", f";{GPU},NVIDIA,8000,30:;")),
    "hami.io/vgpu-mig-allocations": grafted([{"containerIndex": 0, "migUUID": MIG, "profile": "1g.10gb"}], MIG).map(
        _text
    )
    | texts('[{"containerIndex": 0}]'),
    "volcano.sh/vgpu-ids-new": texts() | mangled((f"{GPU},NVIDIA,8000,30:;",)),
    "gpu-fraction": st.sampled_from(NUMBERS) | mangled(("0.5",)),
    "gpu-memory": st.sampled_from(NUMBERS) | mangled(("9216",)),
    "gpu-fraction-container-name": texts("main"),
    "run.ai/reserve_for_gpu_index": texts(GPU),
}


def _read_records(drawn: tuple[str, dict[str, str]]) -> None:
    namespace, annotations = drawn
    _read_pod({**_POD, "metadata": {**_POD["metadata"], "namespace": namespace, "annotations": annotations}})


_CLAIM = {
    "metadata": {"uid": UID, "name": "c", "namespace": "team"},
    "status": {
        "allocation": {
            "devices": {
                "results": [
                    {
                        "request": "r/big",
                        "driver": "gpu.nvidia.com",
                        "pool": "n",
                        "device": "gpu-0",
                        "shareID": "s",
                        "adminAccess": False,
                        "consumedCapacity": {"memory": "10Gi"},
                    }
                ],
                "config": [
                    {
                        "requests": ["r"],
                        "opaque": {
                            "driver": "gpu.nvidia.com",
                            "parameters": {
                                "sharing": {
                                    "strategy": "MPS",
                                    "mpsConfig": {
                                        "defaultActiveThreadPercentage": 40,
                                        "defaultPinnedDeviceMemoryLimit": "8Gi",
                                        "defaultPerDevicePinnedMemoryLimit": {"0": "1Gi"},
                                    },
                                }
                            },
                        },
                    }
                ],
            }
        }
    },
}
_SLICE = {
    "spec": {
        "driver": "gpu.nvidia.com",
        "pool": {"name": "n"},
        "devices": [{"name": "gpu-0", "basic": {"attributes": {"uuid": {"string": GPU}, "profile": {"string": "1g"}}}}],
    }
}


def _read_claim(trees_: tuple[Any, Any]) -> None:
    whole, piece = trees_
    found = dra.claim(whole)
    if found is not None:
        assert isinstance(found, Claim)
        for result in found.results:
            assert result.driver in ids.GPU_DRIVERS
            assert result.threads is None or 0 < result.threads <= 1
            assert all(0 <= amount < 1e30 for amount in (*result.pinned.values(), *result.capacity.values()))
    for device in dra.published(piece):
        assert device.name


_CHECKPOINT = {
    "v2": {
        "nodeBootID": "b",
        "preparedClaims": {
            UID: {
                "checkpointState": "PrepareCompleted",
                "preparedDevices": [
                    {"devices": [{"gpu": {"info": {"uuid": GPU}, "device": {"DeviceName": "gpu-0", "PoolName": "n"}}}]},
                    {"devices": [{"mig": {"concrete": {"migUUID": MIG}, "device": {"deviceName": "m"}}}]},
                ],
                "status": {"allocation": {"devices": {"results": [{"driver": "gpu.nvidia.com", "device": "gpu-1"}]}}},
            }
        },
    }
}


def _read_checkpoint(body: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "checkpoint.json"
        path.write_bytes(body)
        with suppress(SourceError):
            assert all(each.device for each in Checkpoint(str(path), name).read(0.0))


def _read_mps(answers: tuple[str, str]) -> None:
    found = limit(*answers)
    if isinstance(found, Limit):
        assert found.compute is None or 0 <= found.compute < 1
        assert found.memory_bytes is None or 0 <= found.memory_bytes < 1e18


# --- labels of the node ---

_KEYS = st.sampled_from(
    (
        "nvidia.com/gpu.sharing-strategy",
        "nvidia.com/gpu.replicas",
        "nvidia.com/gpu.product",
        "nvidia.com/mig.strategy",
        "nvidia.com/mig.config.state",
        "nvidia.com/mig-1g.10gb.replicas",
        "nvidia.com/mig-1g.10gb.product",
        "cloud.google.com/gke-gpu-sharing-strategy",
        "cloud.google.com/gke-max-shared-clients-per-gpu",
    )
)
_RESOURCES = ("nvidia.com/gpu", "nvidia.com/gpu.shared", "nvidia.com/mig-1g.10gb", "amd.com/cpx_nps4", "x")


def _read_labels(node: tuple[dict[str, str], str, str]) -> None:
    labels, id_, resource = node
    held_ = allocations(holds("a", id_, resource=resource), holds("b", f"{gpu_id(1)}::1"))
    instant = evidence(reading([gpu(1)]), held_, pods(pod("a"), pod("b"), labels=labels))
    for partition in think(instant, instant).snapshot.partitions:
        assert partition.sharing in set(Sharing)
        assert isinstance(partition.replicas, Missing) or partition.replicas >= 1


_IDS = st.sampled_from((gpu_id(1), f"{gpu_id(1)}::0", "nvidia1/vgpu0", "nvidia1", "nvidia9/gi1")) | mangled(
    (gpu_id(1),)
)


def _json(tree: Any) -> bytes:
    return _text(tree).encode("utf-8", "surrogatepass")


READERS = (
    Reader("device ids", _SPELLED | texts(*_SPELLINGS) | mangled(_SPELLINGS), _read_id, 500),
    Reader("HAMi region, head", _HEADS | st.binary(max_size=64) | patched(lambda: _GOOD[:HEAD], HEAD), _read_head, 500),
    Reader("HAMi region, files", st.dictionaries(_NAMES, _BODIES, max_size=3), _read_regions, 60),
    Reader("cgroup", texts(*_CGROUPS, f"0::{_OWN}\n"), _read_cgroup, 500),
    Reader("cgroup below a tenant's own", _BELOW, _read_tenants_cgroup, 500),
    Reader("procfs files", st.tuples(st.binary(max_size=80), st.binary(max_size=80)), _read_procfs, 60),
    Reader("stat", texts(stat_line(7, "a) b (c", 99)) | mangled((stat_line(7, "py", 99),)), _read_stat),
    Reader("PodResources answer", st.binary(max_size=80) | patched(_listed, 200), _read_answer, 500),
    Reader("pod object", grafted(_POD, f"{GPU},NVIDIA,1,1:;") | trees(*_POD_KEYS), _read_pod),
    Reader("records on a pod", st.tuples(st.sampled_from(("team", "kai-resource-reservation")), st.fixed_dictionaries({}, optional=_RECORDS)), _read_records, 500),
    Reader("claim and slice", st.tuples(grafted(_CLAIM, "10Gi"), grafted(_SLICE, GPU)), _read_claim),
    Reader(
        "DRA checkpoint",
        st.binary(max_size=80) | grafted(_CHECKPOINT, GPU).map(_json) | patched(lambda: _json(_CHECKPOINT), 900),
        _read_checkpoint,
        150,
    ),
    Reader("MPS daemon's answers", st.tuples(st.sampled_from(("25.0", "100.1", "250")) | texts("25.0"), texts("3072M", "3G")), _read_mps, 500),
    Reader("node labels", st.tuples(st.dictionaries(_KEYS, st.sampled_from((*NUMBERS, "mps", "time-slicing")) | texts()), _IDS, st.sampled_from(_RESOURCES)), _read_labels, 150),
)  # fmt: skip
