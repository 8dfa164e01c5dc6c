"""What enforcers say of themselves: HAMi's regions, MPS's control daemons, a DRA driver's checkpoint; each asked off the tick.

Each is a source like the others, with a deadline, an age and a health of its own. One that no partition of the node needs is
not asked and has no health to show.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from exporter.ids import ClaimId, GpuId, MigId
from exporter.metrics import SourceHealth
from exporter.model import Allocations, DriverReading, Missing, Pod, Pods, ProcessKind, Reason
from exporter.records import DaemonKey, HookKey, Limit, Prepared, Sharing
from exporter.sources.base import DaemonSource, HookSource, PreparedSource
from exporter.watched import Terms, Watched

T = TypeVar("T")

_HOOKS = Terms(period=5.0, deadline=3.0, good_for=30.0)
_DAEMONS = Terms(period=30.0, deadline=3.0, good_for=120.0)
_PREPARED = Terms(period=5.0, deadline=3.0, good_for=30.0)

_MOST_OF_A_POD = 64
"""Limits that are read for one pod. Its records are a tenant's text: a long one must not use up what others are read by."""

_MPS_LABELS = ("sharing-strategy", "gke-gpu-sharing-strategy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforcers:
    """Who can be asked what is set; None is switched off."""

    hooks: HookSource | None = None
    daemons: DaemonSource | None = None
    prepared: PreparedSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What they said at one instant."""

    hooks: Mapping[HookKey, Limit | Missing]
    daemons: Mapping[DaemonKey, Limit | Missing]
    prepared: tuple[Prepared, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """When they are asked: monotonic and Unix seconds, and for how long a tick waits for each."""

    now: float
    wall: float
    patience: float


class Watch(Protocol):
    """Puts a read under watch."""

    def __call__(self, name: str, read: Callable[[float], T], terms: Terms) -> Watched[T]:
        """Return it with its worker."""


class _Asked(Generic[T]):
    """One of them: asked when it is needed, and only then it has a health."""

    def __init__(self, source: Watched[T] | None, close: Callable[[], None] | None) -> None:
        self._source, self._close = source, close
        self._needed = False

    def answer(self, when: Moment, *, needed: bool) -> T | Missing:
        self._needed = needed and self._source is not None
        if self._source is None or not needed:
            return Missing(Reason.NOT_CONFIGURED)
        self._source.ask(when.now)
        self._source.collect(when.patience, when.wall)
        return self._source.answer(when.now)

    def health(self, now: float) -> tuple[SourceHealth, ...]:
        return (self._source.health(now),) if self._source is not None and self._needed else ()

    def close(self, patience: float) -> None:
        if self._source is not None and self._close is not None:
            self._source.close(self._close, patience)


class ReadBack:
    """Asks them. Every method is called by the collecting thread."""

    def __init__(self, enforcers: Enforcers, watch: Watch) -> None:
        self._hooked: tuple[HookKey, ...] = ()
        self._gpus: tuple[int, ...] = ()
        self._claims: Mapping[str, Collection[str]] = {}
        hooks, daemons, prepared = enforcers.hooks, enforcers.daemons, enforcers.prepared
        self._hooks = _Asked(
            None if hooks is None else watch("hami", lambda now: hooks.read(self._hooked, now), _HOOKS),
            None if hooks is None else hooks.close,
        )
        self._daemons = _Asked(
            None
            if daemons is None
            else watch("mps", lambda now: daemons.read(self._gpus, self._claims, now), _DAEMONS),
            None if daemons is None else daemons.close,
        )
        self._prepared = _Asked(
            None if prepared is None else watch("dra", prepared.read, _PREPARED),
            None if prepared is None else prepared.close,
        )

    def hear(
        self,
        when: Moment,
        driver: DriverReading | Missing,
        allocations: Allocations | Missing,
        pods: Pods | Missing,
        holders: Collection[tuple[str, str]],
    ) -> Told:
        """Ask whom the node's partitions need, by what driver, kubelet and API server say now."""
        self._hooked = _hooked(pods, holders)
        self._gpus = () if isinstance(driver, Missing) else tuple(gpu.index for gpu in driver.inventory.gpus)
        self._claims = _mps_claims(allocations, pods)
        hooks = self._hooks.answer(when, needed=bool(self._hooked))
        daemons = self._daemons.answer(when, needed=_by_mps(pods, driver) or bool(self._claims))
        prepared = self._prepared.answer(when, needed=_by_claim(allocations))
        silent = hooks if isinstance(hooks, Missing) else Missing(Reason.NOT_YET)
        read: Mapping[HookKey, Limit | Missing] = {} if isinstance(hooks, Missing) else hooks
        return Told(
            hooks={key: read.get(key, silent) for key in self._hooked},
            daemons={} if isinstance(daemons, Missing) else daemons,
            prepared=() if isinstance(prepared, Missing) else prepared,
        )

    def health(self, now: float) -> tuple[SourceHealth, ...]:
        """Return the health of those that were needed last."""
        return (*self._hooks.health(now), *self._daemons.health(now), *self._prepared.health(now))

    def close(self, patience: float) -> None:
        """Close every one on its own thread."""
        self._hooks.close(patience)
        self._daemons.close(patience)
        self._prepared.close(patience)


def _hooked(pods: Pods | Missing, holders: Collection[tuple[str, str]]) -> tuple[HookKey, ...]:
    """Containers whose pods hold partitions and whose records say that a hook limits them."""
    if isinstance(pods, Missing):
        return ()
    holding = (pod for pod in pods.items if (pod.namespace, pod.name) in holders and not pod.terminal)
    return tuple(key for pod in holding for key in list(dict.fromkeys(_limited(pod)))[:_MOST_OF_A_POD])


def _limited(pod: Pod) -> Iterator[HookKey]:
    for grant in pod.grants:
        if grant.sharing is Sharing.HAMI and isinstance(grant.device, GpuId | MigId):
            yield pod.uid, grant.container, grant.device.uuid


def _by_mps(pods: Pods | Missing, driver: DriverReading | Missing) -> bool:
    """By the node's labels, or, on a node without any, by clients that the driver lists."""
    labels = {} if isinstance(pods, Missing) or isinstance(pods.node_labels, Missing) else pods.node_labels
    if any(value == "mps" and key.endswith(_MPS_LABELS) for key, value in labels.items()):
        return True
    uses = () if isinstance(driver, Missing) else driver.devices.values()
    return any(p.kind is ProcessKind.MPS for u in uses if not isinstance(u.processes, Missing) for p in u.processes)


def _mps_claims(allocations: Allocations | Missing, pods: Pods | Missing) -> dict[str, frozenset[str]]:
    """Claims that are held here and ask for MPS, each with the UUIDs of its devices as far as they are published."""
    if isinstance(allocations, Missing) or isinstance(pods, Missing) or isinstance(pods.claims, Missing):
        return {}
    held = {
        (each.device.namespace, each.device.claim) for each in allocations.items if isinstance(each.device, ClaimId)
    }
    uuids = {(device.driver, device.pool, device.name): device.uuid for device in pods.claims.published}
    return {
        claim.uid: frozenset(
            uuid
            for result in claim.results
            if result.strategy == "MPS" and (uuid := uuids.get((result.driver, result.pool, result.device)))
        )
        for claim in pods.claims.items
        if (claim.namespace, claim.name) in held and any(result.strategy == "MPS" for result in claim.results)
    }


def _by_claim(allocations: Allocations | Missing) -> bool:
    return not isinstance(allocations, Missing) and any(isinstance(each.device, ClaimId) for each in allocations.items)
