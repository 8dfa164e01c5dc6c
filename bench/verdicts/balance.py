"""Whether the ledger adds up: every sum of the contract, against the clock and against the verdicts, at every tick."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from bench.verdicts.play import Moment
from exporter.catalogue import PartitionKey
from exporter.ledger import NS, Account, GpuAccount, Ledger, Limits
from exporter.model import GpuUuid
from exporter.verdict import Cause, Guarantee, Outcome, Verdicts


@dataclass(slots=True)
class Worst:
    """The largest difference seen of each sum, in seconds."""

    outcomes: float = 0.0  # of a guarantee, and the partition's age
    causes: float = 0.0  # and the verdicts' loss
    neighbours: float = 0.0  # and the cause `neighbour`
    reasons: float = 0.0  # and the outcome `blind`
    gpu: float = 0.0  # states of a GPU, and its age

    def add(self, other: Worst) -> None:
        """Keep the larger of each."""
        for each in fields(self):
            setattr(self, each.name, max(getattr(self, each.name), getattr(other, each.name)))


@dataclass(slots=True)
class Balance:
    """Follows one world's ledger."""

    worst: Worst = field(default_factory=Worst)
    _born: dict[tuple[PartitionKey, Guarantee], int] = field(default_factory=dict)
    _lost: dict[tuple[PartitionKey, Guarantee], float] = field(default_factory=dict)
    _gpus: dict[GpuUuid, int] = field(default_factory=dict)
    _before: Ledger = field(default_factory=Ledger)

    def note(self, moment: Moment) -> None:
        """Check one tick."""
        ledger, now = moment.result.state.ledger, round(moment.at * NS)
        for key, account in ledger.accounts.items():
            if account.gone_at is None:
                self._account(key, account, moment.result.verdicts, now)
        for uuid, gpu in ledger.gpus.items():
            self._gpu(uuid, gpu, now)
        self._gpus = {uuid: born for uuid, born in self._gpus.items() if uuid in ledger.gpus}
        self._before = ledger

    def _account(self, key: PartitionKey, account: Account, verdicts: Verdicts, now: int) -> None:
        before = self._before.accounts.get(key)
        fresh = before is None or before.gone_at is not None or before.pod_uid not in {"", account.pod_uid}
        interval = now - (self._before.at or now)
        for guarantee, verdict in verdicts[key].items():
            name = (key, guarantee)
            if fresh or name not in self._born:
                self._born[name], self._lost[name] = now, 0.0
            elif interval <= Limits().gap:
                self._lost[name] += sum(verdict.loss.values()) * interval
            self._sums(name, account, now)

    def _sums(self, name: tuple[PartitionKey, Guarantee], account: Account, now: int) -> None:
        guarantee, worst = name[1], self.worst
        spent = sum(account.outcomes[guarantee, outcome] for outcome in Outcome)
        lost = {cause: amount for (g, cause), amount in account.lost.items() if g is guarantee}
        named = sum(amount for (g, _), amount in account.to_neighbour.items() if g is guarantee)
        blind = sum(amount for (g, _), amount in account.blind.items() if g is guarantee)
        worst.outcomes = max(worst.outcomes, abs(spent - (now - self._born[name])) / NS)
        worst.causes = max(worst.causes, abs(sum(lost.values()) - self._lost[name]) / NS)
        worst.neighbours = max(worst.neighbours, abs(named - lost.get(Cause.NEIGHBOUR, 0)) / NS)
        worst.reasons = max(worst.reasons, abs(blind - account.outcomes[guarantee, Outcome.BLIND]) / NS)

    def _gpu(self, uuid: GpuUuid, account: GpuAccount, now: int) -> None:
        born = self._gpus.setdefault(uuid, now)
        total = sum(getattr(account.states, each.name) for each in fields(account.states))
        self.worst.gpu = max(self.worst.gpu, abs(total - (now - born)) / NS)
