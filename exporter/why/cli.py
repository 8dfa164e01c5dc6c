"""`slicewatch why NAMESPACE/POD`: is this pod getting what it was promised, and if not, who or what has it.

Exit status 0: kept, idle, or cannot be told; 1: a guarantee is broken now or was in the time told; 2: usage, or no such
pod; 3: nobody could be asked.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Group
from rich.rule import Rule

from exporter.why import from_prometheus
from exporter.why.asking import Exporters, History, add_arguments, pod_cases, snapshot_cases, target
from exporter.why.case import Case
from exporter.why.document import case_json
from exporter.why.fetch import Ask, fetch
from exporter.why.figures import listed
from exporter.why.finding import severity
from exporter.why.screen import screen
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.terminal import show
from toolkit.yamltree import quoted

_BROKEN = 1
_WIDTH = 120
_NEAREST = 3


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, ask: Ask = fetch) -> int:
    """Explain one pod's partitions. Raises ConfigError for usage and unknown pods, SourceError when nobody answers."""
    parser = FlagParser(
        "slicewatch why", "Is a pod getting the GPU share that it was promised, and if not, who or what has it."
    )
    parser.add_argument("pod", metavar="NAMESPACE/POD", help="the pod")
    parser.add_argument("--container", metavar="NAME", help="only this container")
    add_arguments(parser, many=False)
    flags = parser.parse(argv)
    namespace, pod = _name(flags.pod)
    asked = target(flags, ask, many=False)
    found = _mine(asked, namespace, pod, ask)
    if flags.container is not None:
        found = _of_container(found, flags.container)
    found.sort(key=severity)
    if flags.json:
        stdout.write(case_json(found))
    else:
        show(_screens(found), stdout, environ, _WIDTH)
    return _BROKEN if any(case.broken for case in found) else 0


def _screens(found: Sequence[Case]) -> Group:
    drawn = [screen(found[0])]
    for case in found[1:]:
        drawn += [Rule(style="dim"), screen(case)]
    return Group(*drawn)


def _name(text: str) -> tuple[str, str]:
    namespace, slash, pod = text.removeprefix("pod/").partition("/")
    if not slash or not namespace or not pod or "/" in pod:
        raise ConfigError(f"{quoted(text)}: expected NAMESPACE/POD")
    return namespace, pod


def _mine(asked: Exporters | History, namespace: str, pod: str, ask: Ask) -> list[Case]:
    if isinstance(asked, Exporters):
        everybody = snapshot_cases(asked, ask)
        where, names = f"{asked.sites[0].url} knows", sorted({case.owner for case in everybody})
    else:
        everybody = pod_cases(asked, namespace, pod)
        where, names = f"{asked.prometheus.site.url} knows of that time", []
    found = [case for case in everybody if (case.key.namespace, case.key.pod) == (namespace, pod)]
    if found:
        return found
    if isinstance(asked, History):
        names = from_prometheus.owners(asked.prometheus, asked.window)
    raise ConfigError(
        f"no partition of {quoted(f'{namespace}/{pod}')} is among the {len(names)} pods that {where}{_near(f'{namespace}/{pod}', names)}"
    )


def _near(wanted: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(wanted, names, n=_NEAREST, cutoff=0.4)
    return f"; the nearest: {listed(near)}" if near else ""


def _of_container(found: Sequence[Case], container: str) -> list[Case]:
    mine = [case for case in found if case.key.container == container]
    if not mine:
        names = sorted({case.key.container for case in found})
        raise ConfigError(
            f"--container {quoted(container)} holds no partition; the pod's containers that do: {listed(names)}"
        )
    return mine
