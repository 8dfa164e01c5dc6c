"""Dynamic resources: which claims a pod's containers use, what a claim was allocated, what a ResourceSlice publishes.

Of NVIDIA's opaque parameters (`resource.nvidia.com/v1beta1`, GpuConfig and MigDeviceConfig) the sharing is read, resolved as
the driver does it: over the configurations as allocated, backwards, the first that names the request; else the first for all
requests.

Sources: k8s.io/api resource/v1 types.go (v1beta1 keeps a device's attributes under `basic`); k8s-dra-driver-gpu
api/nvidia.com/resource/v1beta1/sharing.go, cmd/gpu-kubelet-plugin/device_state.go, deviceinfo.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from exporter.ids import GPU_DRIVERS
from exporter.records import Claim, ClaimResult, ClaimUse, Published
from exporter.vendors.text import mapping, mappings, quantity, text

_MOST = 256
"""Results of a claim, devices of a slice, configurations; Kubernetes allows 32 and 128 of them."""
_PERCENT = 100


def claim_uses(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[ClaimUse, ...]:
    """Which container uses which request of which claim, by the claims' own names."""
    by_name = {
        text(each.get("name")): text(each.get("resourceClaimName")) for each in mappings(spec.get("resourceClaims"))
    }
    # A claim made from a template is named in the status.
    by_name |= {
        text(each.get("name")): text(each.get("resourceClaimName"))
        for each in mappings(status.get("resourceClaimStatuses"))
    }
    uses = [
        ClaimUse(text(container.get("name")), by_name[text(used.get("name"))], _main(text(used.get("request"))))
        for key in ("initContainers", "containers")
        for container in mappings(spec.get(key))
        for used in mappings(mapping(container.get("resources")).get("claims"))
        if by_name.get(text(used.get("name")))
    ]
    # Pods that use a claim without saying which container does are named too, so that the claim is asked for.
    named = {use.claim for use in uses}
    uses += [ClaimUse("", claim) for claim in by_name.values() if claim and claim not in named]
    extended = mapping(status.get("extendedResourceClaimStatus"))
    hidden = text(extended.get("resourceClaimName"))
    uses += [
        ClaimUse(text(each.get("containerName")), hidden, text(each.get("requestName")))
        for each in mappings(extended.get("requestMappings"))
        if hidden
    ]
    return tuple(uses[:_MOST])


def claim(whole: object) -> Claim | None:
    """Read a ResourceClaim in the API's JSON form; None when it is none, or nothing is allocated."""
    meta = mapping(mapping(whole).get("metadata"))
    devices = mapping(mapping(mapping(mapping(whole).get("status")).get("allocation")).get("devices"))
    uid, name = text(meta.get("uid")), text(meta.get("name"))
    if not uid or not name:
        return None
    configs = mappings(devices.get("config"))[:_MOST]
    results = tuple(_results(mappings(devices.get("results"))[:_MOST], configs))
    return Claim(uid=uid, namespace=text(meta.get("namespace")), name=name, results=results)


def _results(results: Iterable[Mapping[str, Any]], configs: list[Mapping[str, Any]]) -> Iterator[ClaimResult]:
    for each in results:
        driver, request = text(each.get("driver")), text(each.get("request"))
        if driver not in GPU_DRIVERS:
            continue
        sharing = _sharing(driver, request, configs)
        mps = mapping(sharing.get("mpsConfig"))
        yield ClaimResult(
            request=_main(request),
            driver=driver,
            pool=text(each.get("pool")),
            device=text(each.get("device")),
            share=text(each.get("shareID")),
            admin=each.get("adminAccess") is True,
            strategy=text(sharing.get("strategy")),
            threads=_threads(mps.get("defaultActiveThreadPercentage")),
            pinned=_pinned(mps),
            capacity=_quantities(each.get("consumedCapacity")),
        )


def _main(request: str) -> str:
    """A request with alternatives is named `request/alternative`; which of them it became makes no difference here."""
    return request.partition("/")[0]


def _sharing(driver: str, request: str, configs: list[Mapping[str, Any]]) -> Mapping[str, Any]:
    found: dict[bool, Mapping[str, Any]] = {}
    for config in reversed(configs):
        opaque = mapping(config.get("opaque"))
        if text(opaque.get("driver")) != driver:
            continue
        listed = config.get("requests")
        requests = listed if isinstance(listed, list) else []
        named = request in requests or _main(request) in requests
        if named or not requests:
            found.setdefault(named, mapping(mapping(opaque.get("parameters")).get("sharing")))
    return found.get(True, found.get(False, {}))


def _threads(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _PERCENT:
        return None
    return value / _PERCENT


def _pinned(mps: Mapping[str, Any]) -> dict[str, float]:
    common = quantity(mps.get("defaultPinnedDeviceMemoryLimit"))
    by_device = _quantities(mps.get("defaultPerDevicePinnedMemoryLimit"))
    return by_device if common is None else {**by_device, "": common}


def _quantities(value: object) -> dict[str, float]:
    pairs = ((str(key), quantity(item)) for key, item in list(mapping(value).items())[:_MOST])
    return {key: amount for key, amount in pairs if amount is not None}


def published(whole: object) -> Iterator[Published]:
    """Read the devices of a ResourceSlice in the API's JSON form."""
    spec = mapping(mapping(whole).get("spec"))
    driver, pool = text(spec.get("driver")), text(mapping(spec.get("pool")).get("name"))
    if driver not in GPU_DRIVERS:
        return
    for device in mappings(spec.get("devices"))[:_MOST]:
        attributes = mapping(device.get("attributes") or mapping(device.get("basic")).get("attributes"))
        name = text(device.get("name"))
        if name:
            yield Published(
                driver=driver,
                pool=pool,
                name=name,
                uuid=_attribute(attributes, "uuid"),
                profile=_attribute(attributes, "profile"),
            )


def _attribute(attributes: Mapping[str, Any], name: str) -> str:
    return text(mapping(attributes.get(name)).get("string"))
