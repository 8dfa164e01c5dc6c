"""From Kubernetes manifests to a `Plan`: who asks for how much of a GPU, and how the device plugin is told to share it.

Read are pods and whatever makes pods (any kind with a pod template in it, so that operators' own kinds are seen too), the
device plugin's configuration in a ConfigMap or as a file of its own, and ResourceClaims. What is no object is passed over.

Sources: kubernetes.io/docs/reference/kubernetes-api/workload-resources; NVIDIA/k8s-device-plugin api/config/v1
(sharing, replicas, renameByDefault, failRequestsGreaterThanOne); kubernetes-sigs/dra-driver-nvidia-gpu api
resource.nvidia.com (sharing of a claim).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from exporter.lint import manifest_yaml
from exporter.lint.manifest_node import at, count, entries, flag, items, place, text, texts
from exporter.lint.manifest_sharing import claims, plugin_config
from exporter.lint.model import Board, Container, Plan, Workload
from toolkit.errors import ConfigError
from toolkit.yamltree import Node, Problems

_MAX_OBJECTS = 100_000
_MAX_SEARCH = 12
"""How deep a pod template is looked for in a kind that is not Kubernetes' own; a RayCluster's lies at depth 4."""

_DAEMON_SET = "DaemonSet"
_GPU_DOMAINS = ("nvidia.com/", "volcano.sh/vgpu")
_PROCESSES = re.compile(r"(?:--nproc[-_]per[-_]node|--workers|--num[-_]processes)(?:[= ])([0-9]{1,4})(?![0-9])")
_PROCESSES_ENV = "WEB_CONCURRENCY"


def read(paths: Iterable[Path], boards: tuple[Board, ...] = ()) -> Plan:
    """Read files and directories. Raises ConfigError with one line for each fault of each file."""
    problems = Problems()
    refused: list[str] = []
    documents: list[Node] = []
    for path in paths:
        try:
            found = manifest_yaml.files(path)
        except ConfigError as error:
            refused.extend(error.problems)
            continue
        for file in found:
            try:
                documents.extend(manifest_yaml.read(file, problems))
            except ConfigError as error:
                refused.extend(error.problems)
    plan = _plan(documents, boards)
    if refused or problems.found:
        raise ConfigError(*refused, *problems.lines())
    return plan


def parse(manifest: str, name: str = "manifest.yaml", boards: tuple[Board, ...] = ()) -> Plan:
    """Read one text; `name` stands for the file in findings. Raises ConfigError."""
    problems = Problems()
    plan = _plan(manifest_yaml.load(name, manifest, problems), boards)
    if problems.found:
        raise ConfigError(*problems.lines())
    return plan


def _plan(documents: Iterable[Node], boards: tuple[Board, ...]) -> Plan:
    plan = Plan(boards=boards)
    for node in _objects(documents):
        plan = replace(plan, documents=plan.documents + 1)
        kind = text(node, "kind")
        shared = tuple(plugin_config(node))
        if shared:
            plan = replace(plan, shared=plan.shared + shared)
        elif kind in {"ResourceClaim", "ResourceClaimTemplate"}:
            plan = replace(plan, claims=plan.claims + tuple(claims(node)))
        elif kind:
            plan = replace(plan, workloads=plan.workloads + tuple(_workloads(node)))
    return plan


def _objects(documents: Iterable[Node]) -> Iterator[Node]:
    """Every object, those of `kind: List` taken out of it."""
    waiting = list(documents)[::-1]
    for _ in range(_MAX_OBJECTS):
        if not waiting:
            return
        node = waiting.pop()
        if not isinstance(node.content, dict):
            continue  # a file of something else: no Kubernetes object is a list or a word
        if text(node, "kind").endswith("List") and at(node, "items") is not None:
            waiting.extend(reversed(items(node, "items")))
        else:
            yield node
    raise ConfigError(f"more than {_MAX_OBJECTS} objects")


@dataclass(frozen=True, slots=True)
class _Template:
    """A pod's metadata and spec, wherever they stand, and how many pods are made of it."""

    node: Node
    pods: int


def _workloads(node: Node) -> Iterator[Workload]:
    """The pod templates of an object."""
    kind = text(node, "kind")
    for template in _templates(node, kind):
        yield Workload(
            where=place(node.mark),
            kind=kind,
            namespace=text(node, "metadata", "namespace"),
            name=text(node, "metadata", "name") or text(node, "metadata", "generateName"),
            pods=1 if kind == _DAEMON_SET else template.pods,
            annotations=texts(template.node, "metadata", "annotations"),
            containers=tuple(_containers(template.node)),
            host_pid=flag(template.node, "spec", "hostPID"),
            runtime_class=text(template.node, "spec", "runtimeClassName"),
        )


def _templates(node: Node, kind: str) -> Iterator[_Template]:
    if kind == "Pod":
        yield _Template(node, 1)
    elif kind == "CronJob":
        yield from _job(at(node, "spec", "jobTemplate"))
    elif kind == "Job":
        yield from _job(node)
    else:
        yield from _searched(at(node, "spec"), 0)


def _job(node: Node | None) -> Iterator[_Template]:
    template = at(node, "spec", "template")
    if template is not None:
        parallel = count(node, "spec", "parallelism", default=1) or 0
        completions = count(node, "spec", "completions")
        yield _Template(template, parallel if completions is None else min(parallel, completions))


def _searched(node: Node | None, depth: int) -> Iterator[_Template]:
    """Pod templates below a node: a `template` with containers in its spec, made `replicas` (beside it) times."""
    if node is None or depth > _MAX_SEARCH:
        return
    if isinstance(node.content, tuple):
        for item in node.content:
            yield from _searched(item, depth + 1)
    if not isinstance(node.content, dict):
        return
    for name, value in entries(node):
        if name == "template" and _is_template(value):
            yield _Template(value, count(node, "replicas", default=1) or 0)
        elif isinstance(value.content, dict | tuple):
            yield from _searched(value, depth + 1)


def _is_template(node: Node) -> bool:
    content = node.content
    spec = content["spec"].value.content if isinstance(content, dict) and "spec" in content else None
    return isinstance(spec, dict) and "containers" in spec


def _containers(template: Node) -> Iterator[Container]:
    for key in ("initContainers", "containers"):
        for node in items(template, "spec", key):
            # A sidecar (KEP-753) is an init container that goes on running.
            init = key == "initContainers" and text(node, "restartPolicy") != "Always"
            processes, said = _processes(node)
            yield Container(
                name=text(node, "name"),
                where=place(node.mark),
                asks=dict(_asks(node)),
                env=dict(_env(node)),
                privileged=flag(node, "securityContext", "privileged"),
                init=init,
                processes=processes,
                processes_from=said,
            )


def _asks(container: Node) -> Iterator[tuple[str, int]]:
    """Extended resources: where only requests or only limits are written they are both (and they must be equal)."""
    for key in ("requests", "limits"):
        for name, value in entries(container, "resources", key):
            if name.startswith(_GPU_DOMAINS) and not value.null:
                units = _units(value)
                if units is not None:
                    yield name, units


def _units(node: Node) -> int | None:
    """A quantity of an extended resource, which is a whole number; quoted it is one as well."""

    def parse_units(written: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", written):
            raise ValueError("a whole number: extended resources have no fractions")
        return int(written)

    return node.parsed(parse_units)


def _env(container: Node) -> Iterator[tuple[str, str]]:
    for node in items(container, "env"):
        if at(node, "value") is not None:
            yield text(node, "name"), text(node, "value")


def _processes(container: Node) -> tuple[int, str]:
    """How many processes the container says that it starts, and in which words; (1, "") when it says nothing."""
    words = [item.string() or "" for key in ("command", "args") for item in items(container, key)]
    for found in _PROCESSES.finditer(" ".join(words)):
        return int(found[1]), found[0]
    for name, value in _env(container):
        if name == _PROCESSES_ENV and value.isdigit():
            return int(value), f"{name}={value}"
    return 1, ""
