"""Where time goes: causes and neighbours to the nanosecond, and a GPU's second divided when parts of it are not known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.accounting import Holding, Split, holding_of, split_time
from exporter.ledger import MOST_NEIGHBOURS, NS, OTHERS, Account, GpuAccount, Ledger, Limits, advance
from exporter.model import Missing, Partition, Reading, Reason, Sharing
from exporter.verdict import KEPT, Cause, Evidence, Guarantee, Outcome, Verdict, blind
from tests.judge.made import CLOCKS, GPU1, UNREAD, device, partition, snapshot

LIMITS = Limits(keep=60 * NS, gap=5 * NS)
THIRDS = {("team", name): 0.7 / 3 for name in ("b", "c", "d")}


def lost(loss: dict[Cause, float], neighbours: dict[tuple[str, str], float] | None = None) -> Verdict:
    return Verdict(Outcome.BROKEN, loss=loss, neighbours=neighbours or {})


def spent(verdict: Verdict, *ticks: float) -> Account:
    """The account of a partition whose memory gets this verdict at each tick after the first."""
    part, ledger = partition(), Ledger()
    for at in (0.0, *ticks):
        ledger = advance(ledger, snapshot(part, at=at), {part.key: {Guarantee.MEMORY: verdict}}, LIMITS)
    return ledger.accounts[part.key]


@pytest.mark.parametrize("ticks", [(1.0,), (0.333333333,), (1.000000001, 2.000000007, 2.5, 4.999999999)])
def test_neighbours_sum_to_the_cause_neighbour_to_the_nanosecond(ticks: tuple[float, ...]) -> None:
    found = spent(lost({Cause.NEIGHBOUR: 0.7}, THIRDS), *ticks)
    assert sum(found.to_neighbour.values()) == found.lost[Guarantee.MEMORY, Cause.NEIGHBOUR] > 0
    parts = list(found.to_neighbour.values())
    assert max(parts) - min(parts) <= len(ticks)


def test_a_neighbour_that_comes_after_many_is_counted_with_the_others_and_the_sum_holds() -> None:
    part, ledger = partition(), Ledger()
    crowd = MOST_NEIGHBOURS + 30
    for at in range(2 * crowd + 1):
        loss = lost({Cause.NEIGHBOUR: 0.7}, {("team", f"pod-{at % crowd}"): 0.7})
        verdicts = {Guarantee.MEMORY: loss, Guarantee.COMPUTE: loss}
        ledger = advance(ledger, snapshot(part, at=float(at)), {part.key: verdicts}, LIMITS)
    found = ledger.accounts[part.key]
    for guarantee in (Guarantee.MEMORY, Guarantee.COMPUTE):
        taken = {who: spent for (of, who), spent in found.to_neighbour.items() if of is guarantee}
        assert sum(taken.values()) == found.lost[guarantee, Cause.NEIGHBOUR]
        assert len(taken) == MOST_NEIGHBOURS + 1
        # The first went on being counted under their own names when they came back.
        assert taken["team", "pod-1"] == 2 * round(0.7 * NS)
        assert taken[OTHERS] == 2 * 30 * round(0.7 * NS)


def test_causes_are_their_fractions_of_the_time() -> None:
    found = spent(lost({Cause.NEIGHBOUR: 0.25, Cause.RESERVED: 0.5}, {("team", "b"): 0.25}), 2.0)
    assert found.lost == {(Guarantee.MEMORY, Cause.NEIGHBOUR): NS // 2, (Guarantee.MEMORY, Cause.RESERVED): NS}
    assert found.outcomes[Guarantee.MEMORY, Outcome.BROKEN] == 2 * NS


def test_time_that_nobody_watched_is_lost_to_nobody() -> None:
    found = spent(lost({Cause.NEIGHBOUR: 0.7}, THIRDS), 6.0)
    assert (found.lost, found.to_neighbour) == ({}, {})
    assert found.blind == {(Guarantee.MEMORY, Reason.STALE): 6 * NS}


def test_blind_time_stands_under_its_reason_and_loses_nothing() -> None:
    found = spent(blind(Reason.CONTRADICTION), 1.0, 2.0)
    assert found.blind == {(Guarantee.MEMORY, Reason.CONTRADICTION): 2 * NS}
    assert found.lost == {}


def turns(pod: str, used: Reading, promise: Reading = 0.5) -> Partition:
    return partition(pod, compute=promise, memory=None, sharing=Sharing.TIME_SLICING, used_compute=used)


def short(entitled: float, used: float) -> Verdict:
    loss = {Cause.SWITCHING: (entitled - used) / entitled}
    return Verdict(Outcome.BROKEN, loss=loss, entitled=entitled, delivered=used, evidence=Evidence.QUEUEING)


def states(*parts: tuple[Partition, Verdict], at: float = 1.0) -> Split:
    """What one second of the GPU went to."""
    ledger = Ledger()
    verdicts = {part.key: {Guarantee.COMPUTE: verdict} for part, verdict in parts}
    for tick in (0.0, at):
        ledger = advance(ledger, snapshot(*(part for part, _ in parts), at=tick), verdicts, LIMITS)
    return ledger.gpus[GPU1].states


def split(**share: float) -> Split:
    whole = dict.fromkeys(Split.__slots__, 0) | {name: round(part * NS) for name, part in share.items()}
    return Split(**whole)


def test_what_somebody_was_entitled_to_and_nobody_used_was_lost_in_switching() -> None:
    a, b = turns("a", 0.375), turns("b", 0.375)
    found = states((a, short(0.5, 0.375)), (b, short(0.5, 0.375)))
    assert found == split(delivered=0.75, switching=0.25)


def test_what_a_tenant_did_not_want_is_held_idle_and_not_switching() -> None:
    a, b = turns("a", 0.25), turns("b", 0.25)
    found = states((a, KEPT), (b, short(0.375, 0.25)))
    assert found == split(delivered=0.5, idle_held=0.375, switching=0.125)


def test_what_a_hog_took_is_borrowed_and_nothing_is_lost_in_switching() -> None:
    a, hog = turns("a", 0.25), turns("b", 0.75)
    assert states((a, short(0.5, 0.25)), (hog, KEPT)) == split(delivered=0.75, borrowed=0.25)


def test_the_promise_of_a_tenant_whose_use_is_not_known_is_blind_and_the_rest_balances() -> None:
    a, unknown = turns("a", 0.25), turns("b", UNREAD)
    assert states((a, KEPT), (unknown, blind(Reason.TIMEOUT))) == split(delivered=0.25, idle_held=0.25, blind=0.5)


def test_a_tenant_whose_promise_and_use_are_not_known_may_have_all_that_is_left() -> None:
    a, unknown = turns("a", 0.25), turns("b", UNREAD, Missing(Reason.NOT_YET))
    assert states((a, KEPT), (unknown, blind(Reason.NOT_YET))) == split(delivered=0.25, blind=0.75)


@pytest.mark.parametrize("absurd", [-5.0, 1.06, 1e300])
def test_a_use_that_cannot_be_is_not_known_rather_than_nothing_or_everything(absurd: float) -> None:
    assert holding_of(turns("a", absurd), None) == Holding(0.5, None)
    assert states((turns("a", absurd), KEPT)) == split(blind=0.5, unsold=0.5)


@pytest.mark.parametrize(("rounded", "used"), [(1.04, 1.04), (-0.01, 0.0)])
def test_a_use_that_is_rounded_is_known(rounded: float, used: float) -> None:
    assert holding_of(turns("a", rounded), None).used == used


def test_nobody_is_promised_more_than_one_gpu_of_a_gpu() -> None:
    assert holding_of(turns("a", 0.5, 1e300), None).promised == 1.0
    assert states((turns("a", 0.5, 1e300), KEPT)) == split(delivered=0.5, idle_held=0.5)


def test_all_of_a_lost_gpus_second_is_blind() -> None:
    assert split_time([Holding(0.5, 0.5)], NS, visible=False) == split(blind=1.0)


def charged(*readings: Reading) -> int:
    """Microjoules that a whole GPU's holder is charged with, of a counter that reads so at each second."""
    part, ledger = partition(on=device(sm_active=1.0)), Ledger()
    for at, joules in enumerate(readings):
        use = replace(CLOCKS, energy_joules=joules)
        ledger = advance(ledger, snapshot(part, at=float(at), use=use), {part.key: {Guarantee.COMPUTE: KEPT}}, LIMITS)
    return ledger.accounts[part.key].energy


@pytest.mark.parametrize("absurd", [-1.0, 1e300, float(2**64)])
def test_a_counter_of_energy_that_cannot_be_is_skipped_and_nothing_is_lost_or_invented(absurd: float) -> None:
    assert charged(100.0, 300.0, 800.0) == 700_000_000
    assert charged(100.0, 300.0, absurd, 800.0) == 700_000_000


def test_a_gpu_without_sms_uses_no_energy_by_activity_and_does_no_harm() -> None:
    part = partition(on=device(sm_active=1.0))
    bare = snapshot(part)
    gpus = tuple(replace(state, gpu=replace(state.gpu, sm_count=0.0)) for state in bare.gpus)
    ledger = Ledger()
    for at in (0.0, 1.0):
        use = replace(CLOCKS, energy_joules=100.0 * at)
        told = replace(bare, at=at, gpus=tuple(replace(state, use=use) for state in gpus))
        ledger = advance(ledger, told, {part.key: {Guarantee.COMPUTE: KEPT}}, LIMITS)
    assert isinstance(ledger.gpus[GPU1], GpuAccount)
