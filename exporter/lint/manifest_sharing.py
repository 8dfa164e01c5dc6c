"""How GPUs are to be shared, from manifests: the device plugin's configuration, and the sharing of ResourceClaims.

Sources: NVIDIA/k8s-device-plugin api/config/v1 (replicas.go: renameByDefault appends `.shared`; config.go:
failRequestsGreaterThanOne is false for time-slicing and true for MPS unless set); kubernetes-sigs/dra-driver-nvidia-gpu
api/nvidia.com/resource/v1beta1/sharing.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.ids import SHARED_SUFFIX
from exporter.lint import manifest_yaml
from exporter.lint.manifest_node import at, count, entries, flag, items, place, text
from exporter.lint.model import Claim, SharedResource
from exporter.model import Sharing
from toolkit.errors import ConfigError
from toolkit.yamltree import Node, Scalar

_STRATEGIES = {"timeSlicing": Sharing.TIME_SLICING, "mps": Sharing.MPS}
_CLAIM_STRATEGIES = {"TimeSlicing": Sharing.TIME_SLICING, "MPS": Sharing.MPS}
_DRIVER = "gpu.nvidia.com"


def plugin_config(node: Node) -> Iterator[SharedResource]:
    """The shared resources of a device plugin's configuration: a file of its own, or the values of a ConfigMap."""
    if text(node, "kind") == "ConfigMap":
        for _, value in entries(node, "data"):
            for document in _inner(value):
                yield from _shared(document)
    elif at(node, "sharing") is not None and at(node, "version") is not None and not text(node, "kind"):
        yield from _shared(node)


def _inner(value: Node) -> Iterator[Node]:
    """The YAML inside of a ConfigMap's value, with the lines of the outer file; nothing when it is something else."""
    content = value.content
    if not isinstance(content, Scalar) or "sharing" not in content.text:
        return
    first = value.mark.line + (1 if content.quoted and "\n" in content.text else 0)
    try:
        documents = manifest_yaml.load(value.mark.path, content.text, value.problems, first)
    except ConfigError:
        return  # text of another kind that has the word in it
    for document in documents:
        if isinstance(document.content, dict) and {"version", "sharing"} <= document.content.keys():
            yield document


def _shared(config: Node) -> Iterator[SharedResource]:
    for key, strategy in _STRATEGIES.items():
        section = at(config, "sharing", key)
        renamed = flag(section, "renameByDefault")
        refuses = at(section, "failRequestsGreaterThanOne")
        for entry in items(section, "resources"):
            resource = text(entry, "name")
            replicas = count(entry, "replicas")
            if not resource or replicas is None:
                entry.fail("a shared resource without name or replicas", "both")
                continue
            full = resource if "/" in resource else f"nvidia.com/{resource}"
            advertised = text(entry, "rename") or (full + SHARED_SUFFIX if renamed else full)
            yield SharedResource(
                where=place(entry.mark),
                strategy=strategy,
                resource=full,
                advertised=advertised if "/" in advertised else f"nvidia.com/{advertised}",
                replicas=replicas,
                devices=_devices(at(entry, "devices")),
                refuses_two=strategy is Sharing.MPS if refuses is None else bool(refuses.boolean()),
            )


def _devices(node: Node | None) -> int | None:
    """`devices`: all, a number, or a list of indices and UUIDs."""
    if node is None:
        return None
    if isinstance(node.content, tuple):
        return len(node.content)
    return None if node.string() == "all" else node.integer(minimum=1)


def claims(node: Node) -> Iterator[Claim]:
    """The requests of a ResourceClaim or ResourceClaimTemplate with what is configured for them."""
    kind = text(node, "kind")
    spec = at(node, "spec", "spec") if kind == "ResourceClaimTemplate" else at(node, "spec")
    namespace, name = text(node, "metadata", "namespace"), text(node, "metadata", "name")
    for request in items(spec, "devices", "requests"):
        # v1 nests what v1beta1 writes flat (kubernetes.io: DeviceRequest.exactly).
        exact = at(request, "exactly") or request
        called = text(request, "name")
        sharing = _claim_sharing(spec, called)
        yield Claim(
            where=place(request.mark),
            title=f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}",
            request=called,
            admin=flag(exact, "adminAccess"),
            strategy=_CLAIM_STRATEGIES.get(text(sharing, "strategy")),
            thread_percentage=count(sharing, "mpsConfig", "defaultActiveThreadPercentage"),
        )


def _claim_sharing(spec: Node | None, request: str) -> Node | None:
    """The sharing that holds for a request: the last configuration that names it, else the last one for all.

    The driver goes through them backwards in the same way (cmd/gpu-kubelet-plugin/device_state.go).
    """
    for_all: Node | None = None
    for entry in reversed(items(spec, "devices", "config")):
        if text(entry, "opaque", "driver") != _DRIVER:
            continue
        sharing = at(entry, "opaque", "parameters", "sharing")
        named = [item.string() for item in items(entry, "requests")]
        if request in named:
            return sharing
        if not named and for_all is None:
            for_all = sharing
    return for_all
