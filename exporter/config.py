"""From the command line, the configuration file and the environment to one frozen value, or to every fault at once.

Each part of the program is given its own slice of `Settings`, never the whole. What cannot be honoured is refused before
anything starts: an unknown key, a value out of bounds, a combination that contradicts itself.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

from exporter import options
from exporter.options import OPTIONS, Option
from exporter.values import KubernetesMode, SourceKind, node_name
from toolkit import yamlfile
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.logs import Log
from toolkit.web.server import Web
from toolkit.yamltree import Node, Problems, quoted, suggestion

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where readings come from."""

    kind: SourceKind  # never REPLAY in this version
    scenario: str  # name, or path with a slash, for the simulator
    seed: int
    procfs: Path
    podresources: Path | None  # None: switched off
    kubernetes: KubernetesMode | Path  # a path is a kubeconfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """How the node is read. Times are seconds."""

    node: str
    tick: float
    departed_keep: float
    policy_file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `slicewatch exporter` was asked for."""

    web: Web
    sources: Sources
    collect: Collect
    log: Log
    once: bool  # one page to standard output, then exit


def add_exporter_arguments(parser: argparse.ArgumentParser) -> None:
    """Add every option of `slicewatch exporter` to a parser; `settings` reads them from its namespace."""
    for option in OPTIONS:
        meaning = option.help.replace("%", "%%")
        if option.switch:
            parser.add_argument(f"--{option.name}", dest=option.name, action="append_const", const="true", help=meaning)
            parser.add_argument(
                f"--no-{option.name}", dest=option.name, action="append_const", const="false", help=argparse.SUPPRESS
            )
        else:
            shown = f"{meaning} (default {option.default or 'none'})"
            parser.add_argument(
                f"--{option.name}", dest=option.name, action="append", metavar=option.metavar, help=shown
            )


def parse(
    argv: Sequence[str], environ: Mapping[str, str], hostname: Callable[[], str] = socket.gethostname
) -> Settings:
    """Parse the flags of `slicewatch exporter` and the file they name; a flag wins over the file, the file over defaults.

    Raises ConfigError with one line for each fault. `--help` writes the help and raises SystemExit(0).
    """
    parser = FlagParser("slicewatch exporter", "Serve one node's GPU partitions as Prometheus metrics.")
    add_exporter_arguments(parser)
    return settings(parser.parse(argv), environ, hostname)


def settings(
    namespace: argparse.Namespace, environ: Mapping[str, str], hostname: Callable[[], str] = socket.gethostname
) -> Settings:
    """Make settings of a namespace that `add_exporter_arguments` filled. Raises ConfigError with every fault."""
    problems: list[str] = []
    given = dict(_flags(namespace, problems))
    file = given.get(options.CONFIG_FILE.name)
    if file is not None and file.text:
        given = _file(Path(file.text), problems) | given
    parsed = _Parsed(given, problems)
    _refuse_contradictions(parsed, problems)
    if problems:
        raise ConfigError(*problems)
    return _settings(parsed, environ, hostname)


@dataclass(frozen=True, slots=True)
class _Given:
    """A value as it was written. `base` is the folder that its relative path starts from."""

    text: str
    origin: str  # "--tick", or "slicewatch.yaml:3:1: tick"
    base: Path | None = None


class _Parsed:
    """Parsed values by option, with a fault noted for each that does not parse."""

    def __init__(self, given: Mapping[str, _Given], problems: list[str]) -> None:
        self._given = given
        self._parsed: dict[str, object] = {}
        for option in OPTIONS:
            self._parsed[option.name] = option.parse(option.default)
            if (written := given.get(option.name)) is not None:
                try:
                    value = option.parse(written.text)
                except ValueError as error:
                    problems.append(f"{written.origin}: {quoted(written.text)}; expected {error}")
                else:
                    # An absolute path stays as it is: that is how paths join.
                    rooted = written.base is not None and isinstance(value, Path)
                    self._parsed[option.name] = written.base / value if rooted else value  # type: ignore[operator]

    def __getitem__(self, option: Option[T]) -> T:
        return cast("T", self._parsed[option.name])

    def given(self, option: Option[object]) -> str | None:
        """Return where a value for the option was written, or None when it was not."""
        written = self._given.get(option.name)
        return None if written is None else written.origin


def _flags(namespace: argparse.Namespace, problems: list[str]) -> Iterator[tuple[str, _Given]]:
    for option in OPTIONS:
        texts: list[str] = getattr(namespace, option.name, None) or []
        if len(texts) > 1:
            problems.append(f"--{option.name} is given {len(texts)} times; expected once")
        if texts:
            yield option.name, _Given(texts[-1], f"--{option.name}")


def _file(path: Path, problems: list[str]) -> dict[str, _Given]:
    document = yamlfile.read(path)
    found = _keys(document.root, "", document.problems)
    problems.extend(document.problems.lines())
    return {name: _Given(text, f"{node.mark}: {name}", path.parent) for name, (node, text) in found.items()}


def _keys(node: Node, prefix: str, problems: Problems) -> dict[str, tuple[Node, str]]:
    """Collect option names with their values from flat (`a.b: 1`) and nested (`a: {b: 1}`) keys."""
    names = {option.name: option for option in OPTIONS if option is not options.CONFIG_FILE}
    found: dict[str, tuple[Node, str]] = {}
    for key, mark, value in node.mapping():
        name = prefix + key
        inner: dict[str, tuple[Node, str]] = {}
        if name in names:
            text = _switch_text(value) if names[name].switch else value.string()
            inner = {} if text is None else {name: (value, text)}
        elif any(known.startswith(f"{name}.") for known in names):
            inner = _keys(value, f"{name}.", problems)
        elif name == options.CONFIG_FILE.name:
            problems.add(mark, f"{name} cannot be set in the file that it names")
        else:
            problems.add(mark, f"unknown key {quoted(name)}{suggestion(name, names)}")
        for twice in found.keys() & inner.keys():
            problems.add(inner[twice][0].mark, f"{name} sets {twice} again, after line {found[twice][0].mark.line}")
        found |= inner
    return found


def _switch_text(node: Node) -> str | None:
    value = node.boolean()
    return None if value is None else str(value).lower()


def _refuse_contradictions(parsed: _Parsed, problems: list[str]) -> None:
    problems.extend(
        f"{parsed.given(option)} is not in this version"
        for option in OPTIONS
        if option.planned and parsed[option] != option.parse(option.default)
    )
    kind = parsed[options.SOURCE]
    if kind is SourceKind.REPLAY:
        problems.append(f"{parsed.given(options.SOURCE)} replay is not in this version")
    elif kind is not SourceKind.SIMULATOR:
        simulated: tuple[Option[object], ...] = (options.SCENARIO, options.SEED)
        for option in simulated:
            if (origin := parsed.given(option)) is not None:
                source = parsed.given(options.SOURCE) or "by default"
                problems.append(f"{origin} needs source simulator, and source is {kind} ({source})")


def _settings(parsed: _Parsed, environ: Mapping[str, str], hostname: Callable[[], str]) -> Settings:
    return Settings(
        web=Web(
            listen=parsed[options.LISTEN],
            config_file=parsed[options.WEB_CONFIG],
            max_requests=parsed[options.MAX_REQUESTS],
        ),
        sources=Sources(
            kind=parsed[options.SOURCE],
            scenario=_scenario(parsed[options.SCENARIO]),
            seed=parsed[options.SEED],
            procfs=parsed[options.PROCFS],
            podresources=parsed[options.PODRESOURCES],
            kubernetes=parsed[options.KUBERNETES],
        ),
        collect=Collect(
            node=parsed[options.NODE_NAME] or _own_name(environ, hostname),
            tick=parsed[options.TICK],
            departed_keep=parsed[options.DEPARTED_KEEP],
            policy_file=parsed[options.POLICY_FILE],
        ),
        log=Log(level=parsed[options.LOG_LEVEL], format=parsed[options.LOG_FORMAT]),
        once=parsed[options.ONCE],
    )


def _scenario(named: str | Path) -> str:
    """Keep the slash that tells a path from a name, which Path drops from `./node.toml`."""
    text = str(named)
    return text if isinstance(named, str) or "/" in text else f"./{text}"


def _own_name(environ: Mapping[str, str], hostname: Callable[[], str]) -> str:
    """Return $NODE_NAME, which the downward API sets in a DaemonSet (fieldRef spec.nodeName), else the host's name."""
    name = environ.get("NODE_NAME", "")
    try:
        return node_name(name) or hostname()
    except ValueError as error:
        raise ConfigError(f"$NODE_NAME: {quoted(name)}; expected {error}") from error
