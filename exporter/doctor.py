"""`slicewatch doctor`: which sources can be read here, what that lets us judge, and what it does not.

It reads what the exporter would read, for two ticks, through the same collector; so what it says is what the exporter sees.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter import config, explain
from exporter.collect import Tick
from exporter.config import Settings
from exporter.doctor_dcgm import dcgm_lines
from exporter.metrics import SourceHealth
from exporter.model import Missing, Reason, Sharing, Snapshot
from exporter.options import OPTIONS
from exporter.service import last_of_two
from exporter.values import SourceKind
from toolkit.flags import FlagParser
from toolkit.options import add_arguments

_UNREACHABLE = 3
_WIDTH = 130

_GIVES = {
    "nvml": "devices, memory, processes, clocks, power, errors",
    "gpm": "activity of MIG instances and of whole GPUs",
    "dcgm": "activity that the driver does not tell: MIG instances before Hopper, SMs of whole GPUs",
    "podresources": "which container holds which device",
    "kubernetes": "pod uids, workloads, ended pods, node labels",
    "cgroup": "which pod a process belongs to",
}
_WITHOUT = {
    "nvml": "nothing can be judged",
    "dcgm": "MIG instances before Hopper have no activity, and their compute is blind",
    "podresources": "no partition has an owner: nothing can be judged",
    "kubernetes": "owners have no uid and no workload; processes cannot be placed; on Kubernetes before 1.34 ended pods look alive",
    "cgroup": "processes cannot be placed: shared devices are blind",
}
_MODES = {
    Sharing.EXCLUSIVE: "all five guarantees",
    Sharing.MIG: "all five guarantees; compute where GPM (Hopper and newer) or dcgm-exporter shows activity inside instances",
    Sharing.TIME_SLICING: "all but memory, which is not promised; what a tenant wanted is inferred unless it declares it",
    Sharing.MPS: "availability, memory, isolation; the daemon's limits where it can be asked; shares of SM time are not seen",
    Sharing.HAMI: "all five guarantees, as of time slices; conformance where the hook's region can be read",
    Sharing.KAI: "all five guarantees, as of time slices; nobody enforces the fraction",
    Sharing.DRA: "what the claim's device lets be judged: whole GPU, MIG, time slices or MPS",
    Sharing.XCP: "availability, conformance, compute, isolation; memory where it is the partition's own",
}


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO) -> int:
    """Examine this node; exit status 3 when a source that is switched on cannot be reached. Raises ConfigError."""
    parser = FlagParser("slicewatch doctor", "What the exporter could read here, and what that lets it judge.")
    add_arguments(parser, OPTIONS)
    settings = config.settings(parser.parse(argv), environ)
    logging.getLogger().addHandler(logging.NullHandler())  # what is down is said below
    tick, down = last_of_two(settings, environ)
    console = Console(
        file=stdout, width=None if stdout.isatty() else _WIDTH, no_color="NO_COLOR" in environ, highlight=False
    )
    console.print(_sources(tick.health, settings))
    for line in (
        *_devices(tick.result.snapshot),
        *dcgm_lines(tick.result.snapshot),
        *_ownership(tick),
        *_refusals(tick.result.snapshot),
    ):
        console.print(line, markup=False)
    return _UNREACHABLE if down else 0


def _sources(health: tuple[SourceHealth, ...], settings: Settings) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for heading in ("SOURCE", "STATE", "GIVES / WHY NOT"):
        table.add_column(heading, overflow="fold")
    told = {source.name: source for source in health}
    for name, gives in _GIVES.items():
        source = told.get(name)
        if source is None:
            table.add_row(name, "[dim]off[/]", _off(name, settings))
        elif source.up:
            table.add_row(name, "[green]ok[/]", gives)
        else:
            table.add_row(name, "[bold red]down[/]", f"{escape(source.detail)}; without it {_WITHOUT.get(name, '')}")
    return table


def _off(name: str, settings: Settings) -> str:
    if name == "gpm":
        return "no GPU here offers it (Hopper and newer do): before Hopper, dcgm-exporter sees activity inside MIG (--dcgm.url)"
    if name == "dcgm":
        return "switched off: --dcgm.url names the page of a dcgm-exporter on this node"
    if settings.sources.kind is SourceKind.NVML and name == "kubernetes":
        return f"not in a cluster, or --kubernetes off; without it {_WITHOUT[name]}"
    return f"switched off; without it {_WITHOUT.get(name, '')}"


def _devices(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.gpus:
        return
    models = Counter(state.gpu.model for state in snapshot.gpus)
    yield ""
    yield f"driver    {snapshot.driver}, NVML {snapshot.nvml}"
    yield f"devices   {', '.join(f'{count} × {model}' for model, count in sorted(models.items()))}"
    instances = Counter(device.profile for device in snapshot.devices if device.kind == "mig")
    if instances:
        yield f"MIG       {', '.join(f'{count} × {profile}' for profile, count in sorted(instances.items()))}"
    for state in snapshot.gpus:
        current, pending = state.gpu.mig_current, state.gpu.mig_pending
        if not isinstance(current, Missing) and not isinstance(pending, Missing) and current != pending:
            yield f"          GPU {state.gpu.index}: MIG mode changes with its next reset"


def _ownership(tick: Tick) -> Iterator[str]:
    snapshot = tick.result.snapshot
    modes = Counter(partition.sharing for partition in snapshot.partitions)
    yield ""
    if not modes:
        yield "held      by nobody that is seen here"
    for mode, count in sorted(modes.items()):
        yield f"held      {count} × {explain.MODES[mode]}: judged are {_MODES.get(mode, 'nothing in this version')}"
    odd = {kind: count for kind, count in sorted(snapshot.orphans.items()) if count}
    if odd:
        yield f"orphans   {', '.join(f'{count} {kind}' for kind, count in odd.items())}"


_FIELDS = {
    "memory_used_bytes": "memory",
    "engine_active": "engine activity",
    "sm_active": "SM activity",
    "processes": "processes",
    "ecc_uncorrected": "ECC counts",
}


def _refusals(snapshot: Snapshot) -> Iterator[str]:
    """What the driver refuses, by reading and reason, with how many devices it is refused for."""
    refused: Counter[tuple[str, Reason]] = Counter()
    for device in snapshot.devices:
        for name, words in _FIELDS.items():
            value = getattr(device.use, name)
            if isinstance(value, Missing):
                refused[words, value.reason] += 1
    unread = Counter(found.reason for found in snapshot.consumers.values() if isinstance(found, Missing))
    if Reason.HOST_PID in unread:
        refused["owners of processes", Reason.HOST_PID] = unread[Reason.HOST_PID]
    if refused:
        yield ""
    for (words, reason), count in sorted(refused.items()):
        yield f"missing   {words} of {count} of {len(snapshot.devices)} devices: {reason}{_ADVICE.get(reason, '')}"


_ADVICE = {
    Reason.PERMISSION: " (run as root, with NVIDIA_MIG_MONITOR_DEVICES=all)",
    Reason.HOST_PID: " (run with hostPID: true)",
}
