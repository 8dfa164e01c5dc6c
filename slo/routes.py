"""An Alertmanager configuration read as far as it decides who hears of an alert: the routing tree and the receivers.

https://prometheus.io/docs/alerting/latest/configuration/#route: an alert goes to the first child whose matchers it meets, and
to further ones behind a child with `continue`; where no child takes it, it stays with the parent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from slo.spec import Matcher, Op
from toolkit import yamlfile
from toolkit.yamltree import Node

_MATCHER = re.compile(r"""\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|[^",{}]*?)\s*(?:,|$)""")


@dataclass(frozen=True, slots=True)
class Route:
    """A node of the tree. `receiver` is the parent's where it has none of its own."""

    receiver: str
    matchers: tuple[Matcher, ...]
    goes_on: bool
    routes: tuple[Route, ...]

    def receivers(self, labels: Mapping[str, str]) -> tuple[Route, ...]:
        """Return the routes at which an alert that has reached this one comes to rest."""
        found: list[Route] = []
        for child in self.routes:
            if all(one.holds(labels.get(one.label, "")) for one in child.matchers):
                found += child.receivers(labels)
                if not child.goes_on:
                    break
        return tuple(found) or (self,)


@dataclass(frozen=True, slots=True)
class Routing:
    """Who hears of what. `silent` are receivers that tell nobody: they have no `…_configs`."""

    name: str
    root: Route
    silent: frozenset[str]


def load(path: Path) -> Routing:
    """Read an Alertmanager configuration. Raises ConfigError for one whose routes or receivers are not well-formed."""
    document = yamlfile.read(path)
    top = document.root.mapping()
    route, receivers = top.required("route"), top.required("receivers")
    root = None if route is None else _route(route, "")
    silent = frozenset() if receivers is None else frozenset(_silent(receivers))
    for _ in top:  # the rest of the file is Alertmanager's
        pass
    document.finish()
    return Routing(str(path), root or Route("", (), goes_on=False, routes=()), silent)


def _route(node: Node, inherited: str) -> Route:
    fields = node.mapping()
    named = fields.get("receiver")
    receiver = inherited if named is None else named.string() or ""
    matchers: list[Matcher] = []
    written = fields.get("matchers")
    for item in () if written is None else written.sequence():
        matchers += item.parsed(_matchers) or ()
    for key, op in (("match", Op.EQUAL), ("match_re", Op.MATCHES)):
        old = fields.get(key)
        for label, _, value in () if old is None else old.mapping():
            matchers.append(Matcher(label, op, value.string() or ""))
    going = fields.get("continue")
    children = fields.get("routes")
    return Route(
        receiver,
        tuple(matchers),
        goes_on=going is not None and bool(going.boolean()),
        routes=tuple(_route(child, receiver) for child in (() if children is None else children.sequence())),
    )


def _matchers(text: str) -> tuple[Matcher, ...]:
    """Read `alertname="X"`, `severity=~page|ticket`, or several with commas, also in braces."""
    inside = text.strip()
    if inside.startswith("{") and inside.endswith("}"):
        inside = inside[1:-1]
    found, position = [], 0
    while position < len(inside.rstrip()):
        read = _MATCHER.match(inside, position)
        if read is None:
            raise ValueError('a matcher such as severity="page"')
        value = read[3]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", lambda one: {"n": "\n"}.get(one[1], one[1]), value[1:-1])
        op = Op(read[2])
        if op in {Op.MATCHES, Op.NOT_MATCHES}:
            _compiled(value)
        found.append(Matcher(read[1], op, value))
        position = read.end()
    return tuple(found)


def _compiled(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"a pattern that compiles ({error})") from error


def _silent(node: Node) -> Iterator[str]:
    for item in node.sequence():
        fields = item.mapping()
        name = fields.required("name")
        telling = [key for key, _, value in fields if key.endswith("_configs") and value.sequence()]
        if name is not None and not telling:
            yield name.string() or ""
