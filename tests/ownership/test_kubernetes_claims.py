"""Claims and slices from the API server: asked for while pods name some, in whichever version the server has."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from exporter.model import Missing, Reason
from exporter.records import Claims
from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_watch import Timing
from tests.fakes.apiserver import FakeApiServer, eventually
from tests.ownership.cluster import FAST, NODE, pod_object, read

U = "GPU-a4c123b1-612d-d272-d137-1c17149d4395"
QUICK = Timing(watch=30, silence=20, request=5, stale=60, node=0.05, claims=0.02, retry=0.01, longest_retry=0.05)

Start = Callable[..., KubernetesPods]


def with_claim(uid: str, claim: str = "gpu-of-a", phase: str = "Running") -> dict[str, Any]:
    pod = pod_object(uid, phase=phase)
    pod["spec"]["resourceClaims"] = [{"name": "gpu", "resourceClaimName": claim}]
    pod["spec"]["containers"][0]["resources"] = {"claims": [{"name": "gpu"}]}
    return pod


def claim_path(name: str = "gpu-of-a", version: str = "v1") -> str:
    return f"/apis/resource.k8s.io/{version}/namespaces/team/resourceclaims/{name}"


def slices_path(version: str = "v1") -> str:
    return f"/apis/resource.k8s.io/{version}/resourceslices"


def claim(name: str = "gpu-of-a") -> dict[str, Any]:
    result = {"request": "gpu", "driver": "gpu.nvidia.com", "pool": NODE, "device": "gpu-0"}
    meta = {"uid": f"uid-of-{name}", "namespace": "team", "name": name}
    return {"metadata": meta, "status": {"allocation": {"devices": {"results": [result]}}}}


def page(*names: str, following: str = "") -> dict[str, Any]:
    devices = [{"name": name, "attributes": {"uuid": {"string": U}}} for name in names]
    spec = {"driver": "gpu.nvidia.com", "pool": {"name": NODE}, "devices": devices}
    return {"metadata": {"continue": following}, "items": [{"spec": spec}]}


def serve(api: FakeApiServer, version: str = "v1") -> None:
    api.groups = {claim_path(version=version): claim(), slices_path(version): page("gpu-0")}


def told(source: KubernetesPods) -> Claims | Missing:
    return read(source).claims


def names(source: KubernetesPods) -> tuple[set[str], set[str]]:
    found = told(source)
    if isinstance(found, Missing):
        return set(), set()
    return {each.name for each in found.items}, {each.name for each in found.published}


def listed(source: KubernetesPods) -> bool:
    try:
        return bool(read(source).items)
    except Exception:  # noqa: BLE001  # not yet
        return False


@pytest.mark.parametrize("version", ["v1", "v1beta2", "v1beta1"])
def test_claims_are_read_in_the_newest_version_that_the_server_has(
    api: FakeApiServer, start: Start, version: str
) -> None:
    serve(api, version)
    api.put(with_claim("a"))
    source = start(QUICK)
    eventually(lambda: listed(source) and names(source) == ({"gpu-of-a"}, {"gpu-0"}))
    asked = [query for path, query in api.requests if path == slices_path(version)]
    assert {query["fieldSelector"] for query in asked} == {f"spec.nodeName={NODE}"}


def test_without_a_pod_that_uses_one_nobody_is_asked(api: FakeApiServer, start: Start) -> None:
    api.put(pod_object("a"))
    api.put(with_claim("done", phase="Succeeded"))
    source = start(QUICK)
    eventually(lambda: listed(source) and told(source) == Claims())
    assert api.count("group") == 0


def test_a_server_that_was_upgraded_is_asked_anew_which_versions_it_has(api: FakeApiServer, start: Start) -> None:
    serve(api, "v1beta1")
    api.put(with_claim("a"))
    source = start(QUICK)
    eventually(lambda: listed(source) and names(source)[0] == {"gpu-of-a"})
    serve(api, "v1")
    before = len([path for path, _ in api.requests if path == claim_path()])
    eventually(lambda: len([path for path, _ in api.requests if path == claim_path()]) > before)


def test_a_claim_that_is_not_there_costs_no_other(api: FakeApiServer, start: Start) -> None:
    serve(api)
    api.put(with_claim("a"))
    api.put(with_claim("b", "deleted-since"))
    source = start(QUICK)
    eventually(lambda: listed(source) and names(source)[0] == {"gpu-of-a"})


def test_slices_of_several_pages_are_read_to_their_end(api: FakeApiServer, start: Start) -> None:
    serve(api)
    api.groups[slices_path()] = page("gpu-0", following="next")
    api.put(with_claim("a"))
    source = start(QUICK)
    eventually(lambda: listed(source) and names(source)[1] == {"gpu-0"})
    assert any(query.get("continue") == "next" and "resourceVersion" not in query for _, query in api.requests)


@pytest.mark.parametrize(("status", "reason"), [(403, Reason.PERMISSION), (500, Reason.ERROR), (404, Reason.ERROR)])
def test_a_server_that_refuses_is_missing_with_its_reason_and_costs_the_pods_nothing(
    api: FakeApiServer, start: Start, status: int, reason: Reason
) -> None:
    api.refuse["group"] = (status, "no")
    api.put(with_claim("a"))
    source = start(QUICK)
    eventually(lambda: listed(source) and told(source) != Missing(Reason.NOT_YET))
    assert told(source) == Missing(reason)
    assert len(read(source).items) == 1


def test_the_first_look_comes_soon_after_the_pods_are_listed(api: FakeApiServer, start: Start) -> None:
    serve(api)
    api.put(with_claim("a"))
    began = time.monotonic()
    source = start(FAST)  # looks each ten seconds
    eventually(lambda: listed(source) and names(source)[0] == {"gpu-of-a"})
    assert time.monotonic() - began < 5
