"""The entries of a policy file's lists: one of `promises`, one of `demand`, and the selections that they share.

What hardware, MPS or a hook keeps is a fact, so an entry that is plainly meant for such a partition is refused here,
where its author reads the reason, rather than ignored on the node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from exporter.ids import MIG_RESOURCE_PREFIX, SHARED_SUFFIX
from exporter.model import Sharing
from exporter.policy import DECLARED_SHARING, OFF, Bytes, DemandSignal, Fraction, Off, Override, Selector
from toolkit.yamltree import Fields, Node, one_of, quoted

_DECLARED_WORDS = sorted(mode.value for mode in DECLARED_SHARING)
_KEPT_BY = {
    Sharing.EXCLUSIVE: "the scheduler, which gives the GPU to one container",
    Sharing.MIG: "hardware",
    Sharing.MPS: "MPS",
    Sharing.HAMI: "HAMi's hook",
    Sharing.DRA: "the claim's own device",
}
_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "KB": 1e3, "MB": 1e6, "GB": 1e9, "B": 1.0}
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?(" + "|".join(_UNITS) + ")")
_METRIC = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]{0,199}")
_PATH = re.compile(r"/[!-~]{0,255}")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?|\.[0-9]{1,6})(%?)")


@dataclass(frozen=True, slots=True)
class _Selection:
    """Patterns of namespaces and workloads."""

    namespaces: tuple[str, ...]
    workloads: tuple[str, ...]


def _read_selection(fields: Fields) -> _Selection:
    """Read `namespace` and `workload`, each one pattern or a list of them."""
    return _Selection(_read_text_list(fields.get("namespace")), _read_text_list(fields.get("workload")))


def _read_text_list(node: Node | None) -> tuple[str, ...]:
    """Read one text or a list of texts, none of them empty."""
    if node is None:
        return ()
    items = node.sequence() if isinstance(node.content, tuple) else (node,)
    texts = []
    for item in items:
        text = item.string()
        if text == "":
            item.fail("nothing is written here", "a name or a pattern")
        texts.append(text)
    if not items:
        node.fail("an empty list", "at least one name or pattern; leave the key out to match all")
    return tuple(text for text in texts if text)


def _label_map(node: Node | None) -> Mapping[str, str]:
    """Read a mapping of label names to values."""
    if node is None:
        return {}
    return {name: text for name, _, value in node.mapping() if (text := value.string()) is not None}


def read_signal(node: Node) -> DemandSignal | None:
    """Read one demand signal; None when a fault was noted."""
    fields = node.mapping()
    selection = _read_selection(fields)
    labels = _label_map(fields.get("labels"))
    port_node, metric_node = fields.required("port"), fields.required("metric")
    port = None if port_node is None else port_node.integer(minimum=1, maximum=65535)
    metric = None if metric_node is None else metric_node.parsed(_matching(_METRIC, "the name of a metric"))
    path_node, above_node = fields.get("path"), fields.get("above")
    path = "/metrics" if path_node is None else path_node.parsed(_matching(_PATH, "a path that begins with a slash"))
    above = 0.0 if above_node is None else above_node.number()
    match = _label_map(fields.get("match"))
    fields.finish()
    if not (selection.namespaces or selection.workloads or labels):
        node.fail("a signal for every pod of the node", "namespace, labels or workload")
    if port is None or metric is None or path is None or above is None:
        return None
    return DemandSignal(
        namespaces=selection.namespaces,
        workloads=selection.workloads,
        labels=labels,
        port=port,
        path=path,
        metric=metric,
        match=match,
        above=above,
    )


def _matching(pattern: re.Pattern[str], expected: str) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(expected)
        return text

    return check


def read_override(node: Node) -> Override | None:
    """Read one override; None when a fault was noted."""
    fields = node.mapping()
    when_node = fields.required("when")
    when = None if when_node is None else _selector(when_node)
    compute_node, memory_node = fields.get("compute"), fields.get("memory")
    compute = None if compute_node is None else compute_node.parsed(_compute)
    memory = None if memory_node is None else memory_node.parsed(_memory)
    fields.finish()
    if compute_node is None and memory_node is None:
        node.fail("an override that changes nothing", "compute or memory")
    return None if when is None else Override(when=when, compute=compute, memory=memory)


def _selector(node: Node) -> Selector:
    fields = node.mapping()
    selection = _read_selection(fields)
    resource_node, sharing_node = fields.get("resource"), fields.get("sharing")
    resources = _read_text_list(resource_node)
    sharing = _sharing(sharing_node)
    fields.finish()
    if resource_node is not None and sharing_node is None:
        _refuse_hardware(resource_node, resources)
    if isinstance(node.content, dict) and not node.content:
        node.fail("a selector without a key", "resource, namespace, workload or sharing")
    return Selector(
        resources=resources, namespaces=selection.namespaces, workloads=selection.workloads, sharing=sharing
    )


def _sharing(node: Node | None) -> frozenset[Sharing]:
    if node is None:
        return frozenset()
    found = set()
    for item in node.sequence() if isinstance(node.content, tuple) else (node,):
        word = item.choice([mode.value for mode in Sharing])
        if word is None:
            continue
        mode = Sharing(word)
        if mode in _KEPT_BY:
            item.fail(
                f"{quoted(word)} is kept by {_KEPT_BY[mode]} and cannot be overridden; only promises that nobody keeps can",
                one_of(_DECLARED_WORDS),
            )
        found.add(mode)
    return frozenset(found)


def _refuse_hardware(node: Node, resources: tuple[str, ...]) -> None:
    for resource in resources:
        if resource.startswith(MIG_RESOURCE_PREFIX) and not resource.endswith((SHARED_SUFFIX, "*")):
            node.fail(
                f"{quoted(resource)} is a MIG profile, which is kept by hardware and cannot be overridden",
                f'"{resource}{SHARED_SUFFIX}", or sharing: time-slicing beside it when slices of it are not renamed',
            )


def _compute(text: str) -> float | Off:
    """Parse `off`, a ratio (`0.25`) or a percentage (`25%`) of the parent GPU's SM time."""
    if text == OFF.value:
        return OFF
    share = _share(text)
    if share is None:
        raise ValueError("off, or a share of the GPU above 0 and at most 1, such as 0.25 or 25%")
    return share


def _memory(text: str) -> Bytes | Fraction | Off:
    """Parse `off`, a size with its unit, or a part of the device."""
    if text == OFF.value:
        return OFF
    if size := _SIZE.fullmatch(text):
        amount = float(size[1]) * _UNITS[size[2]]
        if amount >= 1:
            return Bytes(amount)
    share = _share(text)
    if share is None:
        raise ValueError("off, a size such as 8GiB or 20000MB, or a part of the device such as 0.25 or 25%")
    return Fraction(share)


def _share(text: str) -> float | None:
    found = _SHARE.fullmatch(text)
    if found is None:
        return None
    value = float(found[1]) / (100 if found[2] else 1)
    return value if 0 < value <= 1 else None
