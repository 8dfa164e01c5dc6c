"""The policy file: a site's own tolerances, allow-lists, demand signals and promises, read strictly into a `Policy`.

One table of keys is what the file is read by and what its page (docs/policy.md) is written from, so that the two cannot
differ. Every fault of a file is told at once, each with file, line and column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter.policy import DemandSignal, Policy
from exporter.policyentries import read_override, read_signal
from toolkit import yamlfile
from toolkit.values import duration_within
from toolkit.yamltree import Fields, Node, quoted, suggestion

API_VERSION = "slicewatch/v1"
KIND = "Policy"

_MAX_ENTRIES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key of the file: `section.name`, or `name` alone at the top; `field` is the `Policy` field that it sets.

    `read` is given the key's value and the field's default, and returns None when it has noted a fault.
    """

    name: str
    field: str
    value: str
    default: str
    help: str
    read: Callable[[Node, Any], object | None]


def load(path: Path) -> Policy:
    """Read a policy file. Raises ConfigError with one line for each fault."""
    return _policy(yamlfile.read(path))


def parse(text: str, name: str = "policy.yaml") -> Policy:
    """Read a policy from text; `name` stands in messages for the file. Raises ConfigError."""
    return _policy(yamlfile.load(name, text))


def _policy(document: yamlfile.Document) -> Policy:
    fields = document.root.mapping()
    for key, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        node = fields.required(key)
        if node is not None:
            node.choice((expected,))
    settings: dict[str, Any] = {}
    for section, keys in _sections().items():
        settings |= _section(section, keys, fields)
    fields.finish()
    document.finish()
    return Policy(**settings)


def _sections() -> Mapping[str, tuple[Key, ...]]:
    """Keys by the section that they stand in; those of section "" stand at the top."""
    sections: dict[str, tuple[Key, ...]] = {}
    for key in KEYS:
        section = key.name.rpartition(".")[0]
        sections[section] = (*sections.get(section, ()), key)
    return sections


def _section(section: str, keys: tuple[Key, ...], top: Fields) -> dict[str, object]:
    if section:
        node = top.get(section)
        if node is None:
            return {}
        fields = node.mapping()
    else:
        fields = top
    found: dict[str, object] = {}
    defaults = Policy()
    for key in keys:
        value = fields.get(key.name.rpartition(".")[2])
        read = None if value is None else key.read(value, getattr(defaults, key.field))
        if read is not None:
            found[key.field] = read
    if section:
        fields.finish()
    return found


# --- readers of one key -----------------------------------------------------------------------------------------------


def _ratio(least: float, most: float) -> Callable[[Node, object], float | None]:
    return lambda node, _: node.number(minimum=least, maximum=most)


def _seconds(least: str, most: str) -> Callable[[Node, object], float | None]:
    return lambda node, _: node.parsed(duration_within(least, most))


def _count(least: int, most: int) -> Callable[[Node, object], int | None]:
    return lambda node, _: node.integer(minimum=least, maximum=most)


def _fair(node: Node, _: object) -> bool | None:
    word = node.choice(("none", "fair"))
    return None if word is None else word == "fair"


def _words(node: Node, standing: frozenset[str]) -> frozenset[str]:
    return _changed(node, standing, lambda item: item.string())


def _xids(node: Node, standing: frozenset[int]) -> frozenset[int]:
    return _changed(node, standing, lambda item: item.integer(minimum=1, maximum=9999))


def _changed(node: Node, standing: frozenset[Any], read: Callable[[Node], Any]) -> frozenset[Any]:
    """Read a list, which replaces what stands, or a mapping that adds to it and removes from it."""
    if isinstance(node.content, tuple):
        return frozenset(value for item in node.content if (value := read(item)) is not None)
    if not isinstance(node.content, dict):
        node.fail(node.described(), "a list, or a mapping with add and remove")
        return standing
    fields = node.mapping()
    added = fields.get("add")
    removed = fields.get("remove")
    fields.finish()
    more = [read(item) for item in (() if added is None else added.sequence())]
    less = []
    for item in () if removed is None else removed.sequence():
        value = read(item)
        if value is not None and value not in standing:
            near = suggestion(str(value), [str(known) for known in standing])
            item.fail(f"{quoted(str(value))} is not in the list{near}")
        less.append(value)
    return frozenset(value for value in standing.union(more).difference(less) if value is not None)


def _signals(node: Node, _: object) -> tuple[DemandSignal, ...]:
    return tuple(signal for item in _entries(node) if (signal := read_signal(item)) is not None)


def _overrides(node: Node, _: object) -> object:
    return tuple(override for item in _entries(node) if (override := read_override(item)) is not None)


def _entries(node: Node) -> tuple[Node, ...]:
    items = node.sequence()
    if len(items) > _MAX_ENTRIES:
        node.fail(f"{len(items)} entries", f"at most {_MAX_ENTRIES}")
    return items[:_MAX_ENTRIES]


# --- the table --------------------------------------------------------------------------------------------------------

_LIST = "a list that replaces the default, or `{add: […], remove: […]}`"

KEYS: tuple[Key, ...] = (
    Key(
        name="tolerance.compute",
        field="compute_tolerance",
        value="ratio, 0 to 0.9",
        default="0.1",
        help="How far below its entitlement a tenant's compute may be before it is broken.",
        read=_ratio(0.0, 0.9),
    ),
    Key(
        name="tolerance.memory",
        field="memory_tolerance",
        value="ratio, 0 to 0.9",
        default="0.02",
        help="How far below the promise memory may be: obtainable, and attached.",
        read=_ratio(0.0, 0.9),
    ),
    Key(
        name="compute.busyThreshold",
        field="busy_threshold",
        value="ratio, 0 to 1",
        default="0.05",
        help="Engine activity from which the tenant of an exclusive device is taken to want it.",
        read=_ratio(0.0, 1.0),
    ),
    Key(
        name="compute.referenceClock",
        field="reference_clock",
        value="ratio, 0.01 to 1",
        default="0.6",
        help="The part of the board's highest SM clock that is promised; a GPU slowed below it is a breach.",
        read=_ratio(0.01, 1.0),
    ),
    Key(
        name="compute.window",
        field="compute_window",
        value="duration, 6s to 10m",
        default="20s",
        help="The sliding window over which a shared device's tenants are judged; of one under 6 s nothing could be said.",
        read=_seconds("6s", "10m"),
    ),
    Key(
        name="compute.appetiteMemory",
        field="appetite_seconds",
        value="duration, 10s to 1d",
        default="10m",
        help="How long it is remembered what a tenant used when nobody else ran.",
        read=_seconds("10s", "1d"),
    ),
    Key(
        name="hold.ticks",
        field="hold_ticks",
        value="1 to 60",
        default="2",
        help="Consecutive ticks for which a contradiction must stand before it makes a tick blind.",
        read=_count(1, 60),
    ),
    Key(
        name="hold.joins",
        field="hold_joins",
        value="1 to 60",
        default="2",
        help="Consecutive joins for which a finding that may be a race between sources must stand.",
        read=_count(1, 60),
    ),
    Key(
        name="xid.hold",
        field="xid_seconds",
        value="duration, 1s to 1d",
        default="60s",
        help="How long a fatal XID or an uncorrectable error breaks availability.",
        read=_seconds("1s", "1d"),
    ),
    Key(
        name="xid.fatal",
        field="fatal_xids",
        value=_LIST,
        default="48, 62, 64, 74, 79, 95, 119, 120, 140, 143",
        help="XIDs that break availability. All XIDs are counted, whatever stands here.",
        read=_xids,
    ),
    Key(
        name="timeSlicing.memory",
        field="time_slicing_memory_fair",
        value="`none` or `fair`",
        default="none",
        help="Whether a time slice is promised memory: nothing, or the device's total over the replicas.",
        read=_fair,
    ),
    Key(
        name="allow.processes",
        field="allowed_commands",
        value=_LIST,
        default="nvidia-cuda-mps-server, nvidia-cuda-mps-control, nv-hostengine, nvidia-persistenced, dcgm-exporter, Xorg",
        help="Programs that may run on any device, outside pods or in pods of system namespaces.",
        read=_words,
    ),
    Key(
        name="allow.systemNamespaces",
        field="system_namespaces",
        value=_LIST,
        default="kube-system, gpu-operator, nvidia-gpu-operator, nvidia-device-plugin",
        help="Namespaces whose pods may run the programs above. A tenant's process of that name is not allowed.",
        read=_words,
    ),
    Key(
        name="demand",
        field="demand_signals",
        value="list of signals",
        default="none",
        help="Metrics by which workloads say themselves that work is waiting.",
        read=_signals,
    ),
    Key(
        name="promises",
        field="overrides",
        value="list of overrides",
        default="none",
        help="What declared promises are instead; the first entry that matches and sets a dimension decides it.",
        read=_overrides,
    ),
)
"""Every key below `apiVersion` and `kind`, in the order of the page."""
