"""How many series a page may have, and which partitions stand back when they are more. Pure.

A node's page grows with what tenants do: partitions, and for each the neighbours, causes and reasons that it has met. So it
has a limit. What is above it is left out by whole partitions, the youngest first: whoever was there keeps all of its series,
a newcomer has none, and nobody has some. Devices and GPUs are always told. What is left out is counted, not hidden
(`slicewatch_orphans{kind="over_series_limit"}`), and stays in `/snapshot`.

A partition is weighed by its counters, which only ever become more, and by the most gauges that one can have. So nothing
comes and goes with a reading that is missing for a tick.
"""

from __future__ import annotations

from dataclasses import replace

from exporter.catalogue import PartitionKey
from exporter.ledger import Account, Ledger
from exporter.model import Snapshot
from exporter.verdict import Guarantee, Outcome

DEFAULT = 200_000
LEAST = 1000
KIND = "over_series_limit"

_GAUGES = 12
"""Series of a partition that are no counters, at the most: two promises, each with its amount, and eight more."""
_INTEGRALS = 4
"""Its shares and its energy."""
_DEVICE, _GPU = 10, 20
_OWN = 400
"""What the program says of itself: sources, ticks, checks, orphans, and the client library's own."""


def over(snapshot: Snapshot, ledger: Ledger, limit: int) -> frozenset[PartitionKey]:
    """Return the partitions that have no room on a page of `limit` series; among them departed ones, which go first."""
    room = limit - _OWN - _DEVICE * len(snapshot.devices) - _GPU * len(snapshot.gpus) - len(ledger.xids)
    weights = {key: _weight(account) for key, account in ledger.accounts.items()}
    if sum(weights.values()) <= room:
        return frozenset()
    hidden: set[PartitionKey] = set()
    for key in sorted(weights, key=lambda key: _order(key, ledger.accounts[key])):
        room -= weights[key]
        if room < 0:
            hidden.add(key)
    return frozenset(hidden)


def without(snapshot: Snapshot, ledger: Ledger, hidden: frozenset[PartitionKey]) -> tuple[Snapshot, Ledger]:
    """Return what is left to be shown."""
    if not hidden:
        return snapshot, ledger
    partitions = tuple(partition for partition in snapshot.partitions if partition.key not in hidden)
    accounts = {key: account for key, account in ledger.accounts.items() if key not in hidden}
    return replace(snapshot, partitions=partitions), replace(ledger, accounts=accounts)


def counted(snapshot: Snapshot, hidden: frozenset[PartitionKey]) -> Snapshot:
    """Return the snapshot with the number of partitions that are left out, if there are any."""
    number = sum(partition.key in hidden for partition in snapshot.partitions)
    return replace(snapshot, orphans={**snapshot.orphans, KIND: number}) if hidden else snapshot


def _weight(account: Account) -> int:
    counters = len(account.outcomes) + len(account.lost) + len(account.to_neighbour) + len(account.blind)
    return _GAUGES + _INTEGRALS + counters


def _order(key: PartitionKey, account: Account) -> tuple[bool, int, PartitionKey]:
    """The order in which partitions find room: those that are there before the departed, the oldest first."""
    # Outcomes sum to the age, and every partition has this guarantee.
    age = sum(account.outcomes.get((Guarantee.AVAILABILITY, outcome), 0) for outcome in Outcome)
    return account.gone_at is not None, -age, key
