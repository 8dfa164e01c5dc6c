"""What a scheduler's record promises: HAMi's and Volcano's limits, KAI's fractions, what a claim gives.

Pure; the table is docs/design.md section 3. Amounts come from the record and from the driver's sizes, never from what the
enforcer has set.
"""

from __future__ import annotations

from exporter.model import Enforcer, Missing, Partition, Promise, PromiseClass, Promised, PromiseSource, Reading, Reason
from exporter.records import Grant, Role, Sharing


def recorded(partition: Partition, grant: Grant, underlying: Promise) -> Promise:
    """Return the promise of a record; `underlying` is what the device itself promises, for a claim of all of it."""
    if grant.role is not Role.WORKLOAD:
        return Promise()
    if partition.sharing is Sharing.KAI:
        return _fraction(partition, grant)
    if partition.sharing is Sharing.DRA:
        return _claim(partition, grant, underlying)
    return _hooked(partition, grant)


def _hooked(partition: Partition, grant: Grant) -> Promise:
    """What HAMi's hook is told to keep; no compute where no cores were asked for."""

    def kept(amount: Reading) -> Promised:
        return Promised(
            amount=amount, klass=PromiseClass.SOFT_CAP, enforcer=Enforcer.HOOK, source=PromiseSource.ANNOTATION
        )

    if partition.illegible is not None:
        return Promise(compute=kept(Missing(partition.illegible)), memory=kept(Missing(partition.illegible)))
    return Promise(
        compute=None if grant.compute is None else kept(grant.compute),
        memory=None if grant.memory_bytes is None else kept(grant.memory_bytes),
    )


def _fraction(partition: Partition, grant: Grant) -> Promise:
    """A part of the GPU is the same part of its memory; an amount of memory is the part of the GPU that it makes up."""

    def declared(amount: Reading) -> Promised:
        return Promised(
            amount=amount, klass=PromiseClass.DECLARED, enforcer=Enforcer.NOBODY, source=PromiseSource.ANNOTATION
        )

    total = _device_memory(partition)
    if partition.illegible is not None:
        return Promise(compute=declared(Missing(partition.illegible)), memory=declared(Missing(partition.illegible)))
    if grant.compute is not None:
        size: Reading = total if isinstance(total, Missing) else grant.compute * total
        return Promise(compute=declared(grant.compute), memory=declared(size))
    size = 0.0 if grant.memory_bytes is None else grant.memory_bytes
    if isinstance(total, Missing):
        share: Reading = total
    else:
        share = min(1.0, size / total) if total > 0 else Missing(Reason.CONTRADICTION)
    return Promise(compute=declared(share), memory=declared(size))


def _claim(partition: Partition, grant: Grant, underlying: Promise) -> Promise:
    """What the claim's device promises, or the limits of the sharing that its configuration asks for."""
    if partition.illegible is not None:
        unread = Missing(partition.illegible)
        return Promise(compute=_sourced(underlying.compute, unread), memory=_sourced(underlying.memory, unread))
    if grant.underlying is Sharing.MPS:
        klass, enforcer = PromiseClass.HARD_CAP, Enforcer.MPS
    elif grant.underlying is Sharing.TIME_SLICING:
        klass, enforcer = PromiseClass.DECLARED, Enforcer.NOBODY
    else:
        return Promise(compute=_sourced(underlying.compute), memory=_sourced(underlying.memory))

    def kept(amount: float | None) -> Promised | None:
        if amount is None:
            return None
        return Promised(amount=amount, klass=klass, enforcer=enforcer, source=PromiseSource.CLAIM)

    return Promise(compute=kept(grant.compute), memory=kept(grant.memory_bytes))


def _sourced(promised: Promised | None, amount: Reading | None = None) -> Promised | None:
    if promised is None:
        return None
    return Promised(
        amount=promised.amount if amount is None else amount,
        klass=promised.klass,
        enforcer=promised.enforcer,
        source=PromiseSource.CLAIM,
    )


def _device_memory(partition: Partition) -> Reading:
    return Missing(Reason.NOT_YET) if partition.device is None else partition.device.attached_memory_bytes
