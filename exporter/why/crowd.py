"""Who is on the device: the holder of the case, neighbours, strangers, and what nobody used, in shares that add up.

Pure. Counters of unlike age cannot be compared, and strangers have no counters: then the newest samples are used, and
the screen says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from exporter.catalogue import PartitionKey
from exporter.model import Missing, Reading, Reason
from exporter.why.case import Basis, Crowd, User, Who

_SAME_AGE = 0.9
_ROUNDING = 0.02
"""A sum of rounded samples may be this much above 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A holder of the device: shares of the parent GPU, bytes, seconds.

    `used_seconds` is the integral of its share over its time in the window, `age` that time.
    """

    key: PartitionKey
    now: Reading
    used_seconds: float
    age: float
    promised: Reading
    promised_memory: Reading
    memory: Reading
    processes: Reading
    gone: bool = False  # it held the device in the window and no longer does

    @property
    def mean(self) -> Reading:
        """The mean share over its own time. A share that cannot be measured is counted as nothing, which is no 0."""
        if self.age <= 0 or (isinstance(self.now, Missing) and self.used_seconds <= 0):
            return self.now if isinstance(self.now, Missing) else Missing(Reason.NOT_YET)
        return self.used_seconds / self.age


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The device: its share of the parent GPU, and its memory in bytes."""

    share: Reading = 1.0
    memory_total: Reading
    memory_free: Reading


def gather(mine: PartitionKey, tenants: Sequence[Tenant], strangers: Iterable[User], board: Board | None) -> Crowd:
    """Put everybody on one device in order: you, neighbours and strangers by what they use.

    Strangers' shares are of the device already. A device that is not there has nobody on it.
    """
    if board is None:
        return Crowd()
    outsiders = tuple(strangers)
    basis = _basis(mine, tenants, outsiders)
    longest = max((tenant.age for tenant in tenants), default=0.0)
    here = [tenant for tenant in tenants if basis is Basis.MEAN or tenant.key == mine or not tenant.gone]
    users = [_user(mine, tenant, tenants, board, basis, longest) for tenant in here]
    everybody = sorted((*users, *outsiders), key=_order)
    known = [user.compute for user in everybody if not isinstance(user.compute, Missing)]
    if not known:
        basis = Basis.NONE
    total = sum(known)
    if total > 1 + _ROUNDING:
        everybody = [replace(user, compute=_scaled(user.compute, total)) for user in everybody]
    return Crowd(
        users=tuple(everybody),
        basis=basis,
        rest=max(0.0, 1 - total),
        complete=len(known) == len(everybody),
        memory_total=board.memory_total,
        memory_free=board.memory_free,
    )


def _basis(mine: PartitionKey, tenants: Sequence[Tenant], outsiders: tuple[User, ...]) -> Basis:
    if any(not isinstance(user.compute, Missing) for user in outsiders):
        return Basis.NOW
    ages = [tenant.age for tenant in tenants]
    own = next((tenant.age for tenant in tenants if tenant.key == mine), 0.0)
    if not ages or own < _SAME_AGE * max(ages):
        return Basis.NOW
    return Basis.MEAN


def _user(
    mine: PartitionKey, tenant: Tenant, tenants: Sequence[Tenant], board: Board, basis: Basis, longest: float
) -> User:
    compute = tenant.now
    if basis is Basis.MEAN:
        compute = tenant.mean if isinstance(tenant.mean, Missing) else tenant.used_seconds / longest
    return User(
        who=Who.YOU if tenant.key == mine else Who.NEIGHBOUR,
        name=_name(mine, tenant.key, tenants),
        compute=_of_device(compute, board.share),
        memory=tenant.memory,
        promised=_of_device(tenant.promised, board.share),
        promised_memory=tenant.promised_memory,
        processes=tenant.processes,
    )


def _name(mine: PartitionKey, key: PartitionKey, tenants: Sequence[Tenant]) -> str:
    """`you`, or the pod; with its container where the pod holds the device twice."""
    if key == mine:
        return "you"
    pods = [(tenant.key.namespace, tenant.key.pod) for tenant in tenants]
    name = f"{key.namespace}/{key.pod}"
    return f"{name} ({key.container})" if pods.count((key.namespace, key.pod)) > 1 else name


def _order(user: User) -> tuple[bool, float, float, str]:
    compute = 0.0 if isinstance(user.compute, Missing) else user.compute
    memory = 0.0 if isinstance(user.memory, Missing) else user.memory
    return user.who is not Who.YOU, -compute, -memory, user.name


def _of_device(share: Reading, of_gpu: Reading) -> Reading:
    if isinstance(share, Missing):
        return share
    if isinstance(of_gpu, Missing):
        return of_gpu
    return share / of_gpu if of_gpu > 0 else Missing(Reason.UNSUPPORTED)


def _scaled(share: Reading, total: float) -> Reading:
    return share if isinstance(share, Missing) else share / total
