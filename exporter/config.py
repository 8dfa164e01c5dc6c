"""From the command line, the configuration file and the environment to one frozen value, or to every fault at once.

Each part of the program is given its own slice of `Settings`, never the whole. What cannot be honoured is refused before
anything starts: an unknown key, a value out of bounds, a combination that contradicts itself.
"""

from __future__ import annotations

import argparse
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter import budget, options
from exporter.options import OPTIONS
from exporter.values import KubernetesMode, SourceKind, node_name
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.logs import Log
from toolkit.options import Option, Parsed, add_arguments, read
from toolkit.site import Site
from toolkit.web.server import Web
from toolkit.yamltree import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where readings come from."""

    kind: SourceKind
    scenario: str  # name, or path with a slash, for the simulator
    seed: int
    procfs: Path
    podresources: Path | None  # None: switched off
    kubernetes: KubernetesMode | Path  # a path is a kubeconfig
    replay: Path | None = None  # a path whenever `kind` is REPLAY
    hami: Path | None = None
    mps: Path | None = None
    dra: Path | None = None
    dcgm: Site | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """How the node is read. Times are seconds."""

    node: str
    tick: float
    departed_keep: float
    policy_file: Path | None = None
    series_limit: int = budget.DEFAULT  # of a page


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that `slicewatch exporter` was asked for."""

    web: Web
    sources: Sources
    collect: Collect
    log: Log
    once: bool  # one page to standard output, then exit


def parse(
    argv: Sequence[str], environ: Mapping[str, str], hostname: Callable[[], str] = socket.gethostname
) -> Settings:
    """Parse the flags of `slicewatch exporter` and the file they name; a flag wins over the file, the file over defaults.

    Raises ConfigError with one line for each fault. `--help` writes the help and raises SystemExit(0).
    """
    parser = FlagParser("slicewatch exporter", "Serve one node's GPU partitions as Prometheus metrics.")
    add_arguments(parser, OPTIONS)
    return settings(parser.parse(argv), environ, hostname)


def settings(
    namespace: argparse.Namespace, environ: Mapping[str, str], hostname: Callable[[], str] = socket.gethostname
) -> Settings:
    """Make settings of a namespace to whose parser OPTIONS were added. Raises ConfigError with every fault."""
    problems: list[str] = []
    parsed = read(namespace, OPTIONS, options.CONFIG_FILE, problems)
    _refuse_contradictions(parsed, problems)
    if problems:
        raise ConfigError(*problems)
    return _settings(parsed, environ, hostname)


def _refuse_contradictions(parsed: Parsed, problems: list[str]) -> None:
    kind = parsed[options.SOURCE]
    needs: Mapping[SourceKind, tuple[Option[object], ...]] = {
        SourceKind.NVML: (options.DCGM_URL,),
        SourceKind.SIMULATOR: (options.SCENARIO, options.SEED),
        SourceKind.REPLAY: (options.REPLAY_FILE,),
    }
    for needed, mine in needs.items():
        for option in mine if kind is not needed else ():
            if (origin := parsed.given(option)) is not None:
                source = parsed.given(options.SOURCE) or "by default"
                problems.append(f"{origin} needs source {needed}, and source is {kind} ({source})")
    if kind is SourceKind.REPLAY and parsed[options.REPLAY_FILE] is None:
        problems.append(
            f"{parsed.given(options.SOURCE)} replay needs --{options.REPLAY_FILE.name}: expected a recording"
        )


def _settings(parsed: Parsed, environ: Mapping[str, str], hostname: Callable[[], str]) -> Settings:
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
            replay=parsed[options.REPLAY_FILE],
            hami=parsed[options.HAMI],
            mps=parsed[options.MPS],
            dra=parsed[options.DRA],
            dcgm=parsed[options.DCGM_URL],
        ),
        collect=Collect(
            node=parsed[options.NODE_NAME] or _own_name(environ, hostname),
            tick=parsed[options.TICK],
            departed_keep=parsed[options.DEPARTED_KEEP],
            policy_file=parsed[options.POLICY_FILE],
            series_limit=parsed[options.SERIES_LIMIT],
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
