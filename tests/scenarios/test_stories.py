"""What each scenario is about is what its page says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from exporter.collect import Tick
from exporter.ledger import NS
from exporter.model import DeviceState, Missing, Reason, Sharing, Throttle
from exporter.verdict import Cause, Guarantee, Outcome, Verdict
from tests.scenarios.stage import Stage, played


def causes(tick: object) -> set[Cause]:
    verdicts: Iterable[dict[Guarantee, object]] = tick.result.verdicts.values()  # type: ignore[attr-defined]
    return {c for v in verdicts for found in v.values() for c in found.loss}  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["mig-mixed", "mig-single-a100", "idle-tenant"])
def test_nothing_is_broken_where_nothing_is_wrong(name: str) -> None:
    tick = played(name, 45)
    assert causes(tick) == set()
    assert tick.result.snapshot.partitions


def test_a_reshaped_gpu_breaks_its_holder_until_the_pod_goes() -> None:
    stage = Stage("mig-reshaped")
    assert causes(stage.play(14)) == set()
    tick = stage.play(30)
    stage.close()
    assert causes(tick) == {Cause.MIG_RECONFIGURED}
    (gone,) = [p for p in tick.result.snapshot.partitions if p.state is DeviceState.RECONFIGURED]
    account = tick.result.state.ledger.accounts[gone.key]
    broken = account.outcomes[Guarantee.AVAILABILITY, Outcome.BROKEN]
    assert 10 * NS <= broken <= 16 * NS
    assert account.lost == {(Guarantee.AVAILABILITY, Cause.MIG_RECONFIGURED): broken}
    assert tick.result.snapshot.orphans["missing_device"] == 1


def test_a_lost_gpu_takes_its_own_partitions_and_no_other() -> None:
    tick = played("gpu-lost", 40)
    states = {p.state for p in tick.result.snapshot.partitions}
    assert states == {DeviceState.LOST, DeviceState.PRESENT}
    assert causes(tick) == {Cause.DEVICE_LOST}
    (lost,) = [p for p in tick.result.snapshot.partitions if p.state is DeviceState.LOST]
    assert isinstance(lost.used_compute, Missing)
    assert tick.result.verdicts[lost.key][Guarantee.CONFORMANCE].reason is Reason.DEVICE_LOST
    assert {key.xid for key in tick.result.state.ledger.xids} == {"79"}


def test_throttling_is_integrated_by_reason() -> None:
    tick = played("thermal-throttle", 45)
    throttled = [account.throttled for account in tick.result.state.ledger.gpus.values()]
    assert max(t[Throttle.SW_THERMAL] + t[Throttle.HW_THERMAL] for t in throttled) >= 5 * NS


def test_more_holders_than_replicas_are_seen() -> None:
    tick = played("oversubscribed", 20)
    assert Cause.OVERSUBSCRIBED in causes(tick)


def test_strangers_on_a_gpu_are_counted() -> None:
    orphans = played("rogue-process", 45).result.snapshot.orphans
    assert orphans["rogue_process"] >= 1
    assert orphans["host_process"] >= 1


def test_mps_shares_have_caps_and_their_use_of_compute_is_not_told() -> None:
    tick = played("mps-memory-hog", 30)
    shares = [p for p in tick.result.snapshot.partitions if p.sharing is Sharing.MPS]
    assert shares
    for share in shares:
        assert share.used_compute == Missing(Reason.UNSUPPORTED)
        assert share.promise.memory is not None
    # The hog's processes together hold more than the pod was promised: each may have the cap for itself.
    assert any(
        not isinstance(s.used_memory_bytes, Missing)
        and s.promise.memory is not None
        and not isinstance(s.promise.memory.amount, Missing)
        and s.used_memory_bytes > s.promise.memory.amount
        for s in shares
    )


def test_an_a100_under_mig_shows_memory_and_no_activity() -> None:
    tick = played("mig-single-a100", 10)
    for partition in tick.result.snapshot.partitions:
        assert isinstance(partition.used_compute, Missing)
        assert not isinstance(partition.used_memory_bytes, Missing)


def compute(tick: Tick, pod: str) -> Verdict:
    (found,) = [v[Guarantee.COMPUTE] for key, v in tick.result.verdicts.items() if key.pod.startswith(pod)]
    return found


def test_a_hog_starves_the_training_beside_it_and_is_named() -> None:
    verdict = compute(played("time-slicing-hog", 45), "demand-forecast-train")
    assert verdict.outcome is Outcome.BROKEN
    assert max(verdict.loss, key=lambda cause: verdict.loss[cause]) is Cause.NEIGHBOUR
    assert max(verdict.neighbours, key=lambda who: verdict.neighbours[who])[1].startswith("video-transcode")
    assert sum(verdict.neighbours.values()) == pytest.approx(verdict.loss[Cause.NEIGHBOUR])
    assert compute(played("time-slicing-hog", 45), "video-transcode").outcome is Outcome.KEPT


def test_an_idle_tenant_is_idle_and_not_starved() -> None:
    assert compute(played("idle-tenant", 45), "workbench-amara").outcome is Outcome.IDLE


def test_a_hot_gpu_short_changes_its_holder_and_the_heat_is_named() -> None:
    verdict = compute(played("thermal-throttle", 45), "finetune-legal")
    assert verdict.loss.keys() == {Cause.THERMAL}


def test_a_memory_hog_under_mps_is_named_by_those_it_displaces() -> None:
    tick = played("mps-memory-hog", 45)
    memory = [v[Guarantee.MEMORY] for v in tick.result.verdicts.values()]
    blamed = {who[1] for verdict in memory for who in verdict.neighbours}
    assert [verdict.outcome for verdict in memory].count(Outcome.BROKEN) == 2
    assert len(blamed) == 1
