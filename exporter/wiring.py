"""Which sources a node has: settings made into the objects that read it. Heavy libraries are imported only when used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from typing import NoReturn

from exporter.config import Settings
from exporter.errors import SourceError
from exporter.model import Pods, Reason
from exporter.policy import Policy
from exporter.readback import Enforcers
from exporter.recording.replay import Replay
from exporter.sources.base import DcgmSource, DemandSource, Kubelet, PodSource
from exporter.values import KubernetesMode, SourceKind
from exporter.witness import Sources
from toolkit.errors import ConfigError


def witness(
    settings: Settings, environ: Mapping[str, str], monotonic: Callable[[], float], policy: Policy
) -> Sources | Replay:
    """Build the sources of a node, or the recording of one. Raises ConfigError for what can never work as configured."""
    if settings.sources.replay is not None:
        return Replay(settings.sources.replay)
    if settings.sources.kind is SourceKind.SIMULATOR:
        return _simulated(settings, monotonic)
    from exporter.sources.nvml import NvmlDriver  # noqa: PLC0415  # heavy libraries only when used
    from exporter.sources.procfs import Procfs  # noqa: PLC0415

    return Sources(
        driver=NvmlDriver(),
        kubelet=_kubelet(settings),
        pods=_pods(settings, environ),
        processes=Procfs(str(settings.sources.procfs)),
        demand=_demand(policy),
        enforcers=_enforcers(settings),
        dcgm=_dcgm(settings),
    )


def _dcgm(settings: Settings) -> DcgmSource | None:
    if settings.sources.dcgm is None:
        return None
    from exporter.sources.dcgm import DcgmExporter  # noqa: PLC0415

    return DcgmExporter(settings.sources.dcgm)


def _enforcers(settings: Settings) -> Enforcers:
    from exporter.sources.dra_checkpoint import Checkpoint  # noqa: PLC0415
    from exporter.sources.hami_region import HookLimits  # noqa: PLC0415
    from exporter.sources.mps_control import BINARY, MpsDaemons  # noqa: PLC0415

    paths = settings.sources
    claims = None if paths.dra is None else str(paths.dra.parent / "mps")  # beside the driver's checkpoint
    # Without the program the daemons cannot be asked here, which is usual and no failure of theirs.
    program = shutil.which(BINARY)
    return Enforcers(
        hooks=None if paths.hami is None else HookLimits(str(paths.hami)),
        daemons=None if paths.mps is None or program is None else MpsDaemons(str(paths.mps), program, claims=claims),
        prepared=None if paths.dra is None else Checkpoint(str(paths.dra), str(paths.procfs)),
    )


def _demand(policy: Policy) -> DemandSource | None:
    if not policy.demand_signals:
        return None
    from exporter.sources.declared import PodsDemand  # noqa: PLC0415

    return PodsDemand(policy.demand_signals)


def _simulated(settings: Settings, monotonic: Callable[[], float]) -> Sources:
    from exporter.simulator import scenario  # noqa: PLC0415
    from exporter.simulator.sources import build  # noqa: PLC0415

    node = build(scenario.load(settings.sources.scenario), settings.sources.seed, monotonic())
    return Sources(
        driver=node.driver,
        kubelet=node.kubelet,
        pods=node.pods,
        processes=node.processes,
        enforcers=node.enforcers,
        dcgm=node.dcgm,
    )


def _kubelet(settings: Settings) -> Kubelet | None:
    if settings.sources.podresources is None:
        return None
    from exporter.sources.podresources import PodResources  # noqa: PLC0415

    return PodResources(str(settings.sources.podresources))


def _pods(settings: Settings, environ: Mapping[str, str]) -> PodSource | None:
    mode = settings.sources.kubernetes
    if mode is KubernetesMode.OFF:
        return None
    from exporter.sources.kubernetes import KubernetesPods, auto_available  # noqa: PLC0415

    if isinstance(mode, KubernetesMode):
        if not auto_available(environ):
            return None
        try:
            return KubernetesPods(settings.collect.node, kubeconfig=None)
        except ConfigError as error:
            # Nobody asked for it by name: what is missing degrades this source alone.
            return AbsentPods(str(error))
    return KubernetesPods(settings.collect.node, kubeconfig=str(mode))


class AbsentPods:
    """A pod source that cannot be had here; every read says why."""

    def __init__(self, why: str) -> None:
        self._why = why

    def read(self, now: float) -> Pods:
        """Raise SourceError."""
        del now
        self._refuse()

    def close(self) -> None:
        """Nothing is open."""

    def _refuse(self) -> NoReturn:
        raise SourceError(self._why, Reason.NOT_CONFIGURED)
