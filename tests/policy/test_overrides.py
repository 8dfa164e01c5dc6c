"""Promise overrides: only what nobody keeps gives way, and the first entry that sets a dimension decides it."""

from __future__ import annotations

import pytest

from exporter.catalogue import PartitionKey
from exporter.model import (
    Device,
    DeviceState,
    DeviceUse,
    DeviceUuid,
    Enforcer,
    GpuUuid,
    Missing,
    Owner,
    Partition,
    Promise,
    PromiseClass,
    Promised,
    PromiseSource,
    Reading,
    Reason,
    Sharing,
)
from exporter.policy import OFF, Bytes, Fraction, Override, Policy, Selector, overridden

GIB = 2.0**30
UUID = "GPU-00000000-0000-0000-0000-000000000001"
UNKNOWN = Missing(Reason.UNSUPPORTED)
USE = DeviceUse(
    memory_total_bytes=UNKNOWN,
    memory_used_bytes=UNKNOWN,
    memory_free_bytes=UNKNOWN,
    engine_active=UNKNOWN,
    sm_active=UNKNOWN,
    tensor_active=UNKNOWN,
    memory_bandwidth=UNKNOWN,
    utilisation=UNKNOWN,
    ecc_corrected=UNKNOWN,
    ecc_uncorrected=UNKNOWN,
    processes=UNKNOWN,
)


def partition(
    sharing: Sharing = Sharing.TIME_SLICING,
    *,
    resource: str = "nvidia.com/gpu.shared",
    namespace: str = "team-a",
    workload: tuple[str, str] = ("Deployment", "llm"),
    memory: Reading = 80 * GIB,
    device: bool = True,
) -> Partition:
    attached = Device(
        gpu=GpuUuid(UUID),
        uuid=DeviceUuid(UUID),
        kind="gpu",
        index="0",
        model="H100",
        sm_count=132.0,
        attached_memory_bytes=memory,
        use=USE,
    )
    return Partition(
        key=PartitionKey(UUID, UUID, namespace, "llm-0", "main"),
        owner=Owner(
            namespace=namespace, pod="llm-0", container="main", workload_kind=workload[0], workload=workload[1]
        ),
        resource=resource,
        sharing=sharing,
        slots=1,
        promised_profile="",
        profile_source=PromiseSource.RESOURCE_NAME,
        state=DeviceState.PRESENT,
        doubt=None,
        device=attached if device else None,
        gpu=None,
        replicas=4.0,
        holders=2,
        consumers=(),
        used_compute=UNKNOWN,
        used_memory_bytes=UNKNOWN,
        obtainable_memory_bytes=UNKNOWN,
    )


def promised(amount: Reading, klass: PromiseClass, enforcer: Enforcer) -> Promised:
    return Promised(amount=amount, klass=klass, enforcer=enforcer, source=PromiseSource.PLUGIN_CONFIG)


DECLARED = Promise(compute=promised(0.25, PromiseClass.DECLARED, Enforcer.NOBODY))
ISOLATED = Promise(
    compute=promised(0.14, PromiseClass.ISOLATED, Enforcer.HARDWARE),
    memory=promised(10 * GIB, PromiseClass.ISOLATED, Enforcer.HARDWARE),
)
CAPPED = Promise(
    compute=promised(0.25, PromiseClass.HARD_CAP, Enforcer.MPS),
    memory=promised(20 * GIB, PromiseClass.HARD_CAP, Enforcer.MPS),
)
HOOKED = Promise(compute=promised(0.25, PromiseClass.SOFT_CAP, Enforcer.HOOK))
EVERYTHING = Selector()


def by_policy(amount: Reading) -> Promised:
    return Promised(amount=amount, klass=PromiseClass.DECLARED, enforcer=Enforcer.NOBODY, source=PromiseSource.POLICY)


def test_without_overrides_a_promise_stays_as_it_is():
    assert overridden(DECLARED, partition(), Policy()) == DECLARED


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (Override(when=EVERYTHING, compute=0.4), Promise(compute=by_policy(0.4))),
        (Override(when=EVERYTHING, compute=OFF), Promise()),
        (
            Override(when=EVERYTHING, memory=Bytes(8 * GIB)),
            Promise(compute=DECLARED.compute, memory=by_policy(8 * GIB)),
        ),
        (
            Override(when=EVERYTHING, memory=Fraction(0.25)),
            Promise(compute=DECLARED.compute, memory=by_policy(20 * GIB)),
        ),
        (Override(when=EVERYTHING, memory=OFF), DECLARED),
    ],
)
def test_a_declared_promise_is_changed_or_switched_off(override: Override, expected: Promise):
    assert overridden(DECLARED, partition(), Policy(overrides=(override,))) == expected


@pytest.mark.parametrize(
    ("sharing", "kept"),
    [
        (Sharing.MIG, ISOLATED),
        (Sharing.EXCLUSIVE, ISOLATED),
        (Sharing.MPS, CAPPED),
        (Sharing.HAMI, HOOKED),
        (Sharing.KAI, HOOKED),
        (Sharing.EXCLUSIVE, Promise()),
        (Sharing.MPS, Promise()),
    ],
)
def test_what_somebody_keeps_is_left_alone_whatever_the_selector_matches(sharing: Sharing, kept: Promise):
    policy = Policy(overrides=(Override(when=EVERYTHING, compute=OFF),))
    assert overridden(kept, partition(sharing), policy) == kept
    more = Policy(overrides=(Override(when=EVERYTHING, compute=0.9),))
    assert overridden(kept, partition(sharing), more) == kept


def test_a_part_of_a_device_of_unknown_memory_is_unknown_for_the_same_reason():
    policy = Policy(overrides=(Override(when=EVERYTHING, memory=Fraction(0.5)),))
    lost = Missing(Reason.DEVICE_LOST)
    assert overridden(DECLARED, partition(memory=lost), policy).memory == by_policy(lost)
    assert overridden(DECLARED, partition(device=False), policy).memory == by_policy(Missing(Reason.NOT_YET))


def test_the_first_entry_that_sets_a_dimension_decides_it():
    policy = Policy(
        overrides=(
            Override(when=Selector(namespaces=("other",)), compute=0.9),
            Override(when=EVERYTHING, memory=OFF),
            Override(when=Selector(namespaces=("team-*",)), compute=0.3, memory=Bytes(GIB)),
            Override(when=EVERYTHING, compute=OFF),
        )
    )
    assert overridden(DECLARED, partition(), policy) == Promise(compute=by_policy(0.3))


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        (Selector(), True),
        (Selector(resources=("nvidia.com/gpu.shared",)), True),
        (Selector(resources=("nvidia.com/gpu",)), False),
        (Selector(resources=("nvidia.com/gpu", "nvidia.com/gpu.*")), True),
        (Selector(namespaces=("team-?",)), True),
        (Selector(namespaces=("TEAM-A",)), False),
        (Selector(workloads=("llm",)), True),
        (Selector(workloads=("Deployment/llm",)), True),
        (Selector(workloads=("Deployment/*",)), True),
        (Selector(workloads=("StatefulSet/llm",)), False),
        (Selector(sharing=frozenset({Sharing.TIME_SLICING})), True),
        (Selector(sharing=frozenset({Sharing.KAI})), False),
        (Selector(namespaces=("team-a",), workloads=("other",)), False),
    ],
)
def test_a_selector_matches_when_all_that_it_names_match(selector: Selector, matches: object):
    assert selector.matches(partition()) is matches


def test_a_partition_of_unknown_workload_is_matched_by_no_workload():
    assert not Selector(workloads=("*",)).matches(partition(workload=("", "")))
