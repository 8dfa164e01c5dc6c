"""A page in the join: what has no place, whose use a mean is, whose pods it names; and the captures' layouts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.dcgm.page import parse
from exporter.dcgm.reading import NamedPod
from exporter.dcgm.topology import compare
from exporter.join import Memory, join
from exporter.model import Missing, Reason
from exporter.policy import Policy
from tests.dcgm.answers import ROOT, body, expected, names
from tests.join.dcgm_pages import NOW, TWO, page, row
from tests.join.worlds import allocations, evidence, holds, mig_id, pod, pods, process, reading, use

AMBIGUOUS, NOT_YET = Missing(Reason.AMBIGUOUS), Missing(Reason.NOT_YET)


def test_a_mean_of_the_holder_before_is_not_used_by_the_one_who_has_come():
    memory = Memory()
    found = []
    for now, name in ((100.0, "a"), (145.0, "a"), (150.0, "b"), (195.0, "b")):
        pid = 7 if name == "a" else 8
        world = replace(
            evidence(
                reading([TWO], {mig_id(1): use((process(pid),))}, at=now),
                allocations(holds(name, mig_id(1), resource="nvidia.com/mig-1g.10gb"), serial=int(now)),
                pods(pod(name)),
                at=now,
            ),
            dcgm=page(row(1), row(2), seen=now),
        )
        snapshot, memory = join(world, memory, Policy())
        found.append({held.key.pod: held.used_compute for held in snapshot.partitions}[name])
    assert found == [NOT_YET, pytest.approx(0.4 * 16 / 132), NOT_YET, pytest.approx(0.4 * 16 / 132)]


def test_a_pod_that_the_page_names_is_compared_with_the_kubelets_word_and_never_believed():
    memory = Memory()
    world = replace(
        evidence(
            reading([TWO]),
            allocations(holds("a", mig_id(1), resource="nvidia.com/mig-1g.10gb")),
            pods(pod("a")),
            at=NOW,
        ),
        dcgm=page(
            replace(row(1), named=(NamedPod("team", "a"), NamedPod("team", "b"))),
            replace(row(2), named=(NamedPod("team", "a"),)),
            seen=NOW,
        ),
    )
    snapshot, memory = join(world, memory, Policy())
    assert snapshot.misnamed == {mig_id(1): 1, mig_id(2): 1}
    assert [held.key.device for held in snapshot.partitions] == [mig_id(1)]
    agreed = replace(world, dcgm=page(replace(row(1), named=(NamedPod("team", "a"),)), row(2), seen=NOW))
    assert join(agreed, memory, Policy())[0].misnamed == {}


def test_the_join_counts_an_instance_of_nowhere_from_the_second_join_on_and_nobody_gets_its_activity():
    memory = Memory()
    counts = []
    for second in range(2):
        world = replace(
            evidence(
                reading([TWO], at=NOW + second),
                allocations(holds("a", mig_id(1), resource="nvidia.com/mig-1g.10gb"), serial=second),
                pods(pod("a")),
                at=NOW + second,
            ),
            dcgm=page(row(1), row(2), row(3)),
        )
        snapshot, memory = join(world, memory, Policy())
        counts.append(snapshot.orphans["unresolved_device_id"])
        (held,) = snapshot.partitions
        assert held.used_compute == AMBIGUOUS
    assert counts == [0, 1]


@pytest.mark.skipif(not names(), reason=f"no captures at {ROOT}")
@pytest.mark.parametrize("name", [name for name in names() if "given" in expected(name)])
def test_a_page_is_compared_with_the_drivers_list_as_its_answer_says(name: str):
    given, want = expected(name)["given"]["inventory"], expected(name)["with_given"]
    found: dict[str, list[list[object]]] = {"profile_mismatch": [], "missing_on_page": [], "unknown_to_driver": []}
    devices = parse(body(name)).devices
    for uuid in sorted({each["parent_uuid"] for each in given} | {each.parent for each in devices}):
        listed = {each["gpu_instance_id"]: each["profile"] for each in given if each["parent_uuid"] == uuid}
        labelled = {
            each.gpu_instance: each.profile_label or ""
            for each in devices
            if each.parent == uuid and each.gpu_instance is not None
        }
        topology = compare(labelled, listed)
        found["profile_mismatch"] += [[uuid, number] for number in sorted(topology.renamed)]
        found["missing_on_page"] += [[uuid, number] for number in sorted(topology.missing)]
        found["unknown_to_driver"] += [[uuid, number] for number in sorted(topology.unknown)]
    assert found == {name: want[name] for name in found}
