"""The policy file: what it may say, every fault of it at once, and a page that cannot differ from the reader."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from exporter import policyfile, policypage
from exporter.model import Sharing
from exporter.policy import (
    ALLOWED_COMMANDS,
    FATAL_XIDS,
    OFF,
    SYSTEM_NAMESPACES,
    Bytes,
    DemandSignal,
    Fraction,
    Override,
    Policy,
    Selector,
)
from toolkit import yamlfile
from toolkit.errors import ConfigError
from tools import generate

HEAD = "apiVersion: slicewatch/v1\nkind: Policy\n"


def parse(text: str) -> Policy:
    return policyfile.parse(HEAD + text)


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        policyfile.parse(text, "p.yaml")
    return list(caught.value.problems)


def test_a_file_that_says_nothing_is_the_default_policy():
    assert parse("") == Policy()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tolerance: {compute: 0.15, memory: 0}", Policy(compute_tolerance=0.15, memory_tolerance=0.0)),
        ("compute: {busyThreshold: 0.1}", Policy(busy_threshold=0.1)),
        ("compute: {referenceClock: 0.7}", Policy(reference_clock=0.7)),
        ("compute: {window: 30s, appetiteMemory: 5m}", Policy(compute_window=30.0, appetite_seconds=300.0)),
        ("hold: {ticks: 3, joins: 4}", Policy(hold_ticks=3, hold_joins=4)),
        ("xid: {hold: 2m}", Policy(xid_seconds=120.0)),
        ("xid: {fatal: [79, 13]}", Policy(fatal_xids=frozenset({13, 79}))),
        ("xid: {fatal: {add: [13], remove: [140]}}", Policy(fatal_xids=(FATAL_XIDS | {13}) - {140})),
        ("xid: {fatal: []}", Policy(fatal_xids=frozenset())),
        ("timeSlicing: {memory: fair}", Policy(time_slicing_memory_fair=True)),
        ("timeSlicing: {memory: none}", Policy()),
        ("allow: {processes: [sshd]}", Policy(allowed_commands=frozenset({"sshd"}))),
        ("allow: {processes: {add: [sshd]}}", Policy(allowed_commands=ALLOWED_COMMANDS | {"sshd"})),
        (
            "allow: {systemNamespaces: {remove: [kube-system]}}",
            Policy(system_namespaces=SYSTEM_NAMESPACES - {"kube-system"}),
        ),
        (
            "demand:\n- {workload: Deployment/llm, port: 8000, metric: 'vllm:n'}",
            Policy(demand_signals=(DemandSignal(workloads=("Deployment/llm",), port=8000, metric="vllm:n"),)),
        ),
        (
            "demand:\n- {namespace: [a, b], labels: {app: x}, port: 1, path: /q, metric: m, match: {k: v}, above: 2.5}",
            Policy(
                demand_signals=(
                    DemandSignal(
                        namespaces=("a", "b"),
                        labels={"app": "x"},
                        port=1,
                        path="/q",
                        metric="m",
                        match={"k": "v"},
                        above=2.5,
                    ),
                )
            ),
        ),
        (
            "promises:\n- {when: {namespace: a, sharing: time-slicing}, compute: off, memory: off}",
            Policy(
                overrides=(
                    Override(
                        when=Selector(namespaces=("a",), sharing=frozenset({Sharing.TIME_SLICING})),
                        compute=OFF,
                        memory=OFF,
                    ),
                )
            ),
        ),
        (
            "promises:\n- {when: {resource: [nvidia.com/gpu.shared], sharing: [kai, time-slicing]}, compute: 25%}",
            Policy(
                overrides=(
                    Override(
                        when=Selector(
                            resources=("nvidia.com/gpu.shared",), sharing=frozenset({Sharing.KAI, Sharing.TIME_SLICING})
                        ),
                        compute=0.25,
                    ),
                )
            ),
        ),
    ],
)
def test_every_key_sets_what_it_says(text: str, expected: Policy):
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("8GiB", Bytes(8 * 2**30)),
        ("1.5 GiB", Bytes(1.5 * 2**30)),
        ("20000MB", Bytes(20e9)),
        ("512MiB", Bytes(512 * 2**20)),
        ("4096B", Bytes(4096)),
        ("0.25", Fraction(0.25)),
        ("25%", Fraction(0.25)),
        ("1", Fraction(1.0)),
        ("off", OFF),
    ],
)
def test_memory_is_a_size_with_its_unit_or_a_part_of_the_device_or_off(text: str, amount: object):
    assert parse(f"promises: [{{when: {{namespace: a}}, memory: {text}}}]").overrides[0].memory == amount


WHEN = HEAD + "promises: [{when: {namespace: a}, "


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Policy\n", 'p.yaml:1:1: the key "apiVersion" is missing'),
        ("apiVersion: slicewatch/v2\nkind: Policy", '1:13: "slicewatch/v2", did you mean "slicewatch/v1"?'),
        ("apiVersion: slicewatch/v1\nkind: PartitionSLO", '2:7: "PartitionSLO"; expected Policy'),
        (HEAD + "tolerence: {compute: 1}", '3:1: unknown key "tolerence", did you mean "tolerance"?'),
        (HEAD + "tolerance: {computes: 0.1}", '3:13: unknown key "computes", did you mean "compute"?'),
        (HEAD + "tolerance: {compute: 1.5}", '3:22: "1.5"; expected a number from 0 to 0.9'),
        (HEAD + "tolerance: {compute: .nan}", "expected a number from 0 to 0.9"),
        (HEAD + "tolerance: 0.1", '3:12: "0.1"; expected a mapping'),
        (HEAD + "compute: {window: 20}", "expected a duration"),
        (HEAD + "compute: {window: 2d}", "expected a duration from 6s to 10m"),
        (HEAD + "compute: {window: 5s}", "expected a duration from 6s to 10m"),
        (HEAD + "hold: {ticks: 0}", "expected a whole number from 1 to 60"),
        (HEAD + "timeSlicing: {memory: fare}", 'did you mean "fair"?'),
        (HEAD + "xid: {fatal: 79}", "expected a list, or a mapping with add and remove"),
        (HEAD + "xid: {fatal: {remove: [63]}}", '"63" is not in the list'),
        (HEAD + "xid: {fatal: {added: [63]}}", 'unknown key "added", did you mean "add"?'),
        (HEAD + "allow: {processes: {remove: [xorg]}}", '"xorg" is not in the list, did you mean "Xorg"?'),
        (HEAD + "demand: [{port: 1, metric: m}]", "3:10: a signal for every pod of the node"),
        (HEAD + "demand: [{namespace: a, metric: m}]", 'the key "port" is missing'),
        (HEAD + "demand: [{namespace: a, port: 1}]", 'the key "metric" is missing'),
        (HEAD + "demand: [{namespace: a, port: 1, metric: 'a b'}]", "expected the name of a metric"),
        (HEAD + 'demand: [{namespace: a, port: 1, metric: m, path: "/x\\r\\nHost: y"}]', "expected a path"),
        (HEAD + "demand: [{namespace: a, port: 70000, metric: m}]", "expected a whole number from 1 to 65535"),
        (HEAD + "demand: [{namespace: '', port: 1, metric: m}]", "expected a name or a pattern"),
        (HEAD + "demand: [{namespace: [], port: 1, metric: m}]", "expected at least one name or pattern"),
        (HEAD + "promises: [{compute: off}]", 'the key "when" is missing'),
        (HEAD + "promises: [{when: {}, compute: off}]", "a selector without a key"),
        (HEAD + "promises: [{when: {pod: a}, compute: off}]", 'unknown key "pod"'),
        (WHEN + "compute: 0}]", "expected off, or a share of the GPU above 0 and at most 1"),
        (WHEN + "compute: 101%}]", "expected off, or a share of the GPU above 0 and at most 1"),
        (WHEN + "memory: 8G}]", "expected off, a size such as 8GiB"),
        (WHEN + "memory: 0GiB}]", "expected off, a size such as 8GiB"),
        (HEAD + "promises: [{when: {namespace: a}}]", "an override that changes nothing"),
        (HEAD + "promises:\n" + "- {when: {namespace: a}, compute: off}\n" * 201, "4:1: 201 entries; expected at most 200"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_place_and_what_was_expected(text: str, said: str):
    assert any(said in line for line in faults(text)), faults(text)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("sharing: mig", '"mig" is kept by hardware and cannot be overridden'),
        ("sharing: [time-slicing, mps]", '"mps" is kept by MPS and cannot be overridden'),
        ("sharing: hami", "is kept by HAMi's hook"),
        ("sharing: exclusive", "is kept by the scheduler"),
        ("sharing: dra", "is kept by the claim's own device"),
        ("resource: nvidia.com/mig-1g.10gb", "is a MIG profile, which is kept by hardware"),
    ],
)
def test_a_promise_that_is_really_kept_is_not_to_be_overridden(when: str, said: str):
    assert [said in line for line in faults(f"{HEAD}promises: [{{when: {{{when}}}, compute: off}}]")] == [True]


@pytest.mark.parametrize(
    "when",
    ["resource: nvidia.com/mig-1g.10gb.shared", "{resource: nvidia.com/mig-1g.10gb, sharing: time-slicing}", "resource: nvidia.com/*"],
)  # fmt: skip
def test_slices_of_a_mig_instance_may_be_overridden(when: str):
    selector = when if when.startswith("{") else f"{{{when}}}"
    assert parse(f"promises: [{{when: {selector}, compute: off}}]").overrides


def test_all_faults_are_told_at_once_in_the_order_of_the_file():
    lines = faults("kind: Polcy\ntolerance: {compute: 2}\ndemand: [{port: x}]\nallow: {processes: 1}\nextra: 1\n")
    assert [line.split(":")[1] for line in lines] == ["1", "1", "2", "3", "3", "3", "4", "5"]


def test_a_file_is_read_from_disk_and_named_in_its_faults(tmp_path: Path):
    path = tmp_path / "policy.yaml"
    path.write_text(policypage.EXAMPLE)
    assert policyfile.load(path).compute_tolerance == 0.15
    path.write_text(HEAD + "hold: {ticks: x}\n")
    with pytest.raises(ConfigError, match=rf"{path}:3:15: "):
        policyfile.load(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        policyfile.load(tmp_path / "absent.yaml")


# --- the page ---


def test_every_field_of_the_policy_has_a_key_and_every_key_a_field():
    assert sorted(key.field for key in policyfile.KEYS) == sorted(field.name for field in fields(Policy))


@pytest.mark.parametrize("key", [key for key in policyfile.KEYS if key.field not in {"demand_signals", "overrides"}])
def test_the_default_that_the_page_shows_is_the_default(key: policyfile.Key):
    standing = getattr(Policy(), key.field)
    text = f"[{key.default}]" if isinstance(standing, frozenset) else key.default
    document = yamlfile.load("default", text)
    assert key.read(document.root, standing) == standing
    document.finish()


def test_the_example_of_the_page_sets_what_it_shows():
    policy = policyfile.parse(policypage.EXAMPLE)
    assert policy.compute_window == 30.0
    assert 63 in policy.fatal_xids
    assert 140 not in policy.fatal_xids
    assert policy.demand_signals[0].metric == "vllm:num_requests_waiting"
    assert policy.overrides[1].memory == Bytes(20 * 2**30)


def test_the_page_is_fresh():
    page = Path(__file__).parents[2] / "docs" / "policy.md"
    assert page.read_text() == policypage.markdown() == generate.files()["docs/policy.md"]
