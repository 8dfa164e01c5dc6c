"""Scenarios are data: TOML files beside this module, or anywhere, parsed strictly into `spec.Scenario`."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from exporter.simulator.consistency import check
from exporter.simulator.gpus import BOARDS
from exporter.simulator.incidents import parse_event
from exporter.simulator.spec import GpuSharing, GpuSpec, MigStrategy, Scenario
from exporter.simulator.tables import Faults, Table
from exporter.simulator.workloads import parse_claim, parse_host, parse_pod
from toolkit.errors import ConfigError

SHIPPED = Path(__file__).parent / "scenarios"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_DRIVER = "580.95.05"

MOST = 1 << 20
"""Characters of a scenario file."""


def names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the simulator, sorted."""
    return tuple(sorted(each.stem for each in SHIPPED.glob("*.toml")))


def load(name_or_path: str | Path) -> Scenario:
    """Load a shipped scenario by name, or any file by path. Raises ConfigError when it is not there or not right."""
    path = Path(name_or_path)
    if str(name_or_path) in names():
        path = SHIPPED / f"{name_or_path}.toml"
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MOST + 1)
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join(names())
        message = f"{name_or_path}: no such scenario, and no file that can be read (shipped: {known})"
        raise ConfigError(message) from error
    if len(text) > MOST:
        raise ConfigError(f"{path}: larger than {MOST} characters; expected a file written by hand")
    return parse(text, str(path), path.stem)


def parse(text: str, file: str = "scenario", name: str = "scenario") -> Scenario:
    """Parse a scenario. Raises ConfigError with one line for every fault; each names `file` and the key path."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = f"{file}: {error}"
        raise ConfigError(message) from error
    faults = Faults(file)
    scenario = _scenario(Table(document, "", faults), name)
    if not faults.problems:
        check(scenario, faults)
    if faults.problems:
        raise ConfigError(*faults.problems)
    return scenario


def _scenario(table: Table, name: str) -> Scenario:
    about = table.text("about")
    node = table.table("node")
    driver = node.text("driver", _DRIVER)
    scenario = Scenario(
        name=name,
        about=about,
        node=node.text("name"),
        driver=driver,
        nvml=node.text("nvml", f"13.{driver}"),
        gpus=tuple(_gpu(each) for each in table.tables("gpu")),
        pods=tuple(parse_pod(each) for each in table.tables("pod")),
        claims=tuple(parse_claim(each) for each in table.tables("claim")),
        hosts=tuple(parse_host(each) for each in table.tables("host")),
        events=tuple(parse_event(each) for each in table.tables("event")),
        mig_strategy=node.choice("mig_strategy", MigStrategy, MigStrategy.NONE),
        labels=node.mapping("labels"),
        gke=node.flag("gke"),
        dcgm_seconds=node.number("dcgm_seconds", 0.0, least=0.0, most=3600.0),
        exact=node.flag("exact"),
    )
    node.end()
    table.end()
    return scenario


def _gpu(table: Table) -> GpuSpec:
    name = table.text("name")
    if name and not _NAME.fullmatch(name):
        table.fault("name", f"expected lower-case letters, digits and dashes, found {name!r}")
    model = table.text("board")
    if model and model not in BOARDS:
        table.fault("board", f"expected one of {', '.join(BOARDS)}, found {model!r}")
    sharing = table.choice("sharing", GpuSharing, GpuSharing.NONE)
    shared = sharing in {GpuSharing.TIME_SLICING, GpuSharing.MPS, GpuSharing.HAMI}
    replicas = table.whole("replicas", least=2, most=100) if shared else 1
    spec = GpuSpec(
        name=name,
        board=BOARDS.get(model, next(iter(BOARDS.values()))),
        mig=table.texts("mig") if table.has("mig") else None,
        sharing=sharing,
        replicas=replicas,
        replicas_before=table.whole("replicas_before", replicas, least=1, most=100) if shared else 1,
        switch_seconds=table.number("switch_us", 0.0, least=0.0, most=1000.0) / 1e6,
    )
    if spec.mig is not None and sharing not in {GpuSharing.NONE, GpuSharing.TIME_SLICING}:
        table.fault("sharing", f"MIG instances are not shared by {sharing}")
    if not shared and table.has("replicas"):
        table.fault("replicas", "needs sharing")
    table.end()
    return spec
