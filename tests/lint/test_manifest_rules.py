"""Lint rules on manifests: each finds its fault, says where and why, and keeps quiet when the fault is mended."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from exporter.lint import manifests
from exporter.lint.model import Board, Finding, Severity
from exporter.lint.rules import NODE_RULES, PLAN_RULES, holds, lint
from exporter.policy import Policy

L40S = Board("NVIDIA L40S", 46068)
H100 = Board("NVIDIA H100 80GB HBM3", 81559)
A30 = Board("NVIDIA A30", 24576)


def findings(text: str, *boards: Board, policy: Policy | None = None) -> tuple[Finding, ...]:
    return lint(manifests.parse(text, "m.yaml", boards), policy)


def told(found: Iterable[Finding]) -> list[str]:
    return [finding.rule for finding in found]


def one(rule: str, text: str, *boards: Board) -> Finding:
    """The single finding of a rule; others may stand beside it."""
    found = [finding for finding in findings(text, *boards) if finding.rule == rule]
    assert len(found) == 1, told(findings(text, *boards))
    return found[0]


def pod(asks: str = "", *, name: str = "p", more: str = "", container: str = "", meta: str = "") -> str:
    """A pod of one container; the container stands in line 6."""
    return f"""\
kind: Pod
metadata: {{name: {name}, namespace: ml{meta}}}
spec:
  restartPolicy: Never
  containers:
  - {{name: main, resources: {{limits: {{{asks}}}}}{container}}}
{more}"""


def deployment(asks: str, replicas: int = 1, meta: str = "") -> str:
    return f"""\
kind: Deployment
metadata: {{name: web, namespace: ml}}
spec:
  replicas: {replicas}
  template:
    metadata: {{{meta}}}
    spec: {{containers: [{{name: main, resources: {{limits: {{{asks}}}}}}}]}}
"""


def config(strategy: str = "timeSlicing", replicas: int = 4, name: str = "nvidia.com/gpu", more: str = "") -> str:
    """A device plugin's ConfigMap; the resource stands in line 10."""
    return f"""\
kind: ConfigMap
metadata: {{name: plugin}}
data:
  any: |
    version: v1
    sharing:
      {strategy}:
        renameByDefault: true
        resources:
        - {{name: {name}, replicas: {replicas}{more}}}
---
"""


SHARED = "nvidia.com/gpu.shared: 1"


def kai(annotations: str, replicas: int = 1) -> str:
    return deployment("", replicas, f"annotations: {{{annotations}}}")


# --- every rule, with the words that matter ---


@pytest.mark.parametrize(
    ("rule", "text", "boards", "where", "words"),
    [
        ("slots-above-replicas", config() + deployment(SHARED, 6), [L40S], 10, ["6 slots", "4 are offered: 2 will find no place"]),
        ("slots-above-replicas", config() + pod("nvidia.com/gpu.shared: 9"), [Board("NVIDIA L40S", 46068, 2)], 10, ["9 slots", "8 are offered"]),
        ("slots-above-replicas", config(more=", devices: [0]") + deployment(SHARED, 5), [Board("NVIDIA L40S", 46068, 2)], 10, ["4 are offered"]),
        ("gpus-above-node", deployment("nvidia.com/gpu: 2", 3), [Board("NVIDIA L40S", 46068, 4)], 1, ["6 × nvidia.com/gpu", "node of 4"]),
        ("two-refused", config("mps") + pod("nvidia.com/gpu.shared: 2"), [], 17, ["m.yaml:10", "refused at admission"]),
        ("two-refused", config(more="}\n        failRequestsGreaterThanOne: true #") + pod("nvidia.com/gpu.shared: 2"), [], 18, ["refused"]),
        ("two-slices-are-one-turn", config() + pod("nvidia.com/gpu.shared: 2"), [], 17, ["2 × nvidia.com/gpu.shared", "no extra compute"]),
        ("time-slice-unenforced", config() + pod(SHARED), [], 17, ["Pod ml/p/main", "1/4", "m.yaml:10"]),
        ("shared-by-whom", pod(SHARED), [], 6, ["no configuration says which"]),
        ("mps-on-mig", config("mps", name="nvidia.com/mig-1g.10gb"), [], 10, ["does not support MPS on MIG"]),
        ("mps-too-many-clients", config("mps", 49), [], 10, ["48 clients"]),
        ("mps-caps-processes", config("mps"), [], 10, ["25% and 1/4", "for each process"]),
        ("mps-many-processes", config("mps") + pod(SHARED, container=", args: [torchrun, --nproc_per_node=3]"), [], 17, ["3 × 25% = 75%"]),
        ("mps-many-processes", config("mps") + pod(SHARED, container=", command: [serve, --workers, '2']"), [], 17, ["2 × 25% = 50%"]),
        ("mps-many-processes", config("mps") + pod(SHARED, container=", env: [{name: WEB_CONCURRENCY, value: '4'}]"), [], 17, ["4 × 25% = 100%"]),
        ("mig-does-not-fit", pod("nvidia.com/mig-1g.10gb: 1"), [L40S], 6, ["no GPU here has MIG: NVIDIA L40S"]),
        ("mig-does-not-fit", pod("nvidia.com/mig-7g.80gb: 1"), [A30], 6, ["larger than any GPU here"]),
        ("mig-above-node", deployment("nvidia.com/mig-3g.40gb: 1", 3), [H100], 7, ["3 MIG instances", "9 slices and 120 GB of 7 slices and 86 GB"]),
        ("mig-above-node", deployment("nvidia.com/mig-1g.6gb: 1", 5), [A30], 7, ["5 slices and 30 GB of 4 slices"]),
        ("kai-out-of-range", kai("gpu-fraction: '1.5'"), [], 1, ["gpu-fraction=1.5", "above 0 and below 1"]),
        ("mig-above-node", deployment("nvidia.com/mig-1g.10gb: 1", 8), [H100], 7, ["8 slices and 80 GB of 7 slices and 86 GB"]),
        ("mig-above-node", deployment("nvidia.com/mig-1g.20gb: 1", 5), [H100], 7, ["5 slices and 100 GB of 7 slices and 86 GB"]),
        ("kai-out-of-range", kai("gpu-fraction: '1'"), [], 1, ["gpu-fraction=1", "above 0 and below 1"]),
        ("kai-out-of-range", kai("gpu-fraction: '0'"), [], 1, ["above 0 and below 1"]),
        ("kai-out-of-range", kai("gpu-memory: 2Gi"), [], 1, ["gpu-memory=2Gi", "a number of MiB"]),
        ("kai-above-node", kai("gpu-memory: '2000'", 24), [L40S], 1, ["gpu-memory=2000 MiB × 24 on 1 GPU of 46068 MiB", "48000 MiB are promised"]),
        ("kai-above-node", kai("gpu-fraction: '0.5'", 3), [L40S], 1, ["1.5 GPUs are promised"]),
        ("kai-above-node", kai("gpu-fraction: '0.6', gpu-fraction-num-devices: '2'"), [L40S], 1, ["1.2 GPUs are promised"]),
        ("kai-unenforced", kai("gpu-fraction: '0.25'"), [], 1, ["Deployment ml/web: KAI gpu-fraction=0.25", "declared only"]),
        ("hook-out-of-range", pod("nvidia.com/gpucores: 130"), [], 6, ["gpucores=130", "100 %"]),
        ("hook-out-of-range", pod("nvidia.com/gpumem-percentage: 101"), [], 6, ["100 %"]),
        ("hook-out-of-range", pod("volcano.sh/vgpu-memory: 50000"), [L40S], 6, ["46068 MiB"]),
        ("hook-above-node", deployment("nvidia.com/gpumem: 12000", 4), [L40S], 7, ["48000 MiB are promised, 46068 are there"]),
        ("hook-above-node", deployment("nvidia.com/gpu: 2, nvidia.com/gpucores: 60", 1), [L40S], 7, ["120 % of a GPU are promised, 100"]),
        ("hook-switched-off", pod("nvidia.com/gpumem: 3000", container=", env: [{name: CUDA_DISABLE_CONTROL, value: 'true'}]"), [], 6, ["nvidia.com/gpumem=3000", "leaves the hook out"]),
        ("hook-switched-off", pod("nvidia.com/gpucores: 30", container=", env: [{name: GPU_CORE_UTILIZATION_POLICY, value: DISABLE}]"), [], 6, ["ignores the limit"]),
        ("hook-conditional", pod("nvidia.com/gpucores: 30"), [], 6, ["gpucores=30", "not applied while the pod is alone"]),
        ("visible-devices", pod(container=", env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]"), [], 6, ["NVIDIA_VISIBLE_DEVICES=all"]),
        ("privileged", pod("nvidia.com/gpu: 1", container=", securityContext: {privileged: true}"), [], 6, ["it can open every GPU"]),
        ("privileged", pod(container=", securityContext: {privileged: true}", more="  runtimeClassName: nvidia\n"), [], 6, ["privileged"]),
        ("host-pid", pod("nvidia.com/gpu: 1", more="  hostPID: true\n"), [], 1, ["Pod ml/p sets hostPID"]),
    ],
)  # fmt: skip
def test_a_rule_says_where_the_fault_stands_and_why_it_is_one(
    rule: str, text: str, boards: list[Board], where: int, words: list[str]
):
    finding = one(rule, text, *boards)
    assert finding.found.where == f"m.yaml:{where}"
    line = f"{finding.found.what}   {finding.found.why}"
    assert [word for word in words if word not in line] == [], line
    assert finding.found.advice


def claim(*, sharing: str = "", admin: str = "", named: str = "") -> str:
    return f"""\
kind: ResourceClaimTemplate
metadata: {{name: c, namespace: ml}}
spec:
  spec:
    devices:
      requests:
      - {{name: gpu, exactly: {{deviceClassName: gpu.nvidia.com{admin}}}}}
      config:
      - opaque: {{driver: other.example, parameters: {{sharing: {{strategy: TimeSlicing}}}}}}
      - {named}opaque: {{driver: gpu.nvidia.com, parameters: {{sharing: {{{sharing}}}}}}}
"""


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("claim-time-sliced", claim(sharing="strategy: TimeSlicing")),
        ("claim-mps", claim(sharing="strategy: MPS")),
        ("claim-mps", claim(sharing="strategy: MPS, mpsConfig: {defaultActiveThreadPercentage: 50}")),
        ("claim-threads", claim(sharing="strategy: MPS, mpsConfig: {defaultActiveThreadPercentage: 150}")),
        ("claim-admin", claim(admin=", adminAccess: true")),
        ("claim-mps", claim(sharing="strategy: MPS", named="requests: [gpu]\n        ")),
    ],
)
def test_a_claim_is_judged_by_what_its_own_driver_is_told(rule: str, text: str):
    found = findings(text)
    assert told(found) == [rule]
    assert found[0].found.where == "m.yaml:7"
    assert found[0].found.what.startswith("ResourceClaimTemplate ml/c, request gpu")


def test_a_configuration_for_another_request_does_not_count():
    assert findings(claim(sharing="strategy: TimeSlicing", named="requests: [other]\n        ")) == ()


def test_every_rule_about_manifests_is_shown_at_work_above():
    shown = {mark.args[1][i][0] for test in (test_a_rule_says_where_the_fault_stands_and_why_it_is_one, test_a_claim_is_judged_by_what_its_own_driver_is_told) for mark in test.pytestmark for i in range(len(mark.args[1]))}  # fmt: skip
    assert shown == {rule.name for rule in PLAN_RULES}


# --- and quiet where there is nothing to say ---


@pytest.mark.parametrize(
    ("text", "boards", "notes"),
    [
        (pod("nvidia.com/gpu: 1"), [L40S], []),
        (pod("cpu: 4, memory: 8Gi, amd.com/gpu: 1"), [L40S], []),
        (deployment("nvidia.com/gpu: 1", 4), [Board("NVIDIA L40S", 46068, 4)], []),
        (deployment("nvidia.com/mig-1g.10gb: 1", 7), [H100], []),
        (deployment("nvidia.com/mig-3g.40gb: 1", 2), [H100], []),
        (deployment("nvidia.com/mig-1g.10gb.me: 1"), [H100], []),
        (deployment("nvidia.com/mig-1g.6gb: 1", 4), [A30], []),
        (config("mps") + deployment(SHARED, 4), [L40S], ["mps-caps-processes"]),
        (config("mps", 48), [], ["mps-caps-processes"]),
        (pod("nvidia.com/gpu: 1, nvidia.com/gpucores: 30", container=", env: [{name: GPU_CORE_UTILIZATION_POLICY, value: force}]"), [L40S], []),
        (pod("nvidia.com/gpu: 1, nvidia.com/gpumem: 3000"), [L40S], []),
        (pod("nvidia.com/gpucores: 100"), [L40S], []),
        (kai("gpu-memory: '2000', nvidia.com/container.main.gpu-memory.limit: '2000'", 23), [L40S], []),
        (pod(container=", securityContext: {privileged: true}"), [], []),
        (pod(more="  hostPID: true\n"), [], []),
        (pod("nvidia.com/gpu: 1", container=", env: [{name: NVIDIA_VISIBLE_DEVICES, value: none}]"), [], []),
        (pod("nvidia.com/gpu: 1", container=", env: [{name: NVIDIA_VISIBLE_DEVICES, valueFrom: {configMapKeyRef: {name: a, key: b}}}]"), [], []),
        (pod("nvidia.com/gpu: 1", container=", securityContext: {privileged: true}").replace("namespace: ml", "namespace: gpu-operator"), [], []),
        (claim(sharing="strategy: TimeSlicing").replace("gpu.nvidia.com, parameters", "x.example, parameters"), [], []),
    ],
)  # fmt: skip
def test_what_is_in_order_is_not_complained_about(text: str, boards: list[Board], notes: list[str]):
    found = findings(text, *boards)
    assert told(found) == notes
    assert holds(found)


def test_without_a_node_described_nothing_is_said_about_what_fits():
    text = config() + deployment("nvidia.com/gpu.shared: 1, nvidia.com/mig-7g.80gb: 1", 99)
    assert told(findings(text)) == ["time-slice-unenforced"]


def test_with_several_configurations_the_most_generous_one_is_believed():
    two = config(replicas=2) + config(replicas=8)
    assert "slots-above-replicas" not in told(findings(two + deployment(SHARED, 8), L40S))
    assert "8 are offered" in one("slots-above-replicas", two + deployment(SHARED, 9), L40S).found.why


def test_slots_of_hami_are_not_the_plugins_slots():
    text = config().replace("renameByDefault: true", "renameByDefault: false")
    asks = "nvidia.com/gpu: 1, nvidia.com/gpumem: 3000"
    assert told(findings(text + deployment(asks, 6), L40S)) == []


def test_a_resource_keeps_its_name_unless_the_configuration_renames_it():
    plain = config().replace("renameByDefault: true", "renameByDefault: false")
    assert told(findings(plain + pod("nvidia.com/gpu: 1"))) == ["time-slice-unenforced"]
    renamed = config(more=", rename: nvidia.com/quarter")
    assert told(findings(renamed + pod("nvidia.com/quarter: 1"))) == ["time-slice-unenforced"]
    assert told(findings(config() + pod("nvidia.com/gpu: 1"))) == []


def test_system_namespaces_are_the_policys():
    text = pod(container=", env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]")
    assert told(findings(text, policy=Policy(system_namespaces=frozenset({"ml"})))) == []
    assert told(findings(text)) == ["visible-devices"]


def test_the_worst_findings_come_first_and_notes_alone_hold():
    text = config() + pod("nvidia.com/gpu.shared: 2", container=", env: [{name: NVIDIA_VISIBLE_DEVICES, value: all}]") + "---\n" + kai("gpu-fraction: '2'")  # fmt: skip
    found = findings(text)
    assert [f.severity for f in found] == sorted((f.severity for f in found), key=list(Severity).index)
    assert found[0].rule == "kai-out-of-range"
    assert not holds(found)
    assert holds([f for f in found if f.severity is Severity.NOTE])


def test_a_rule_can_be_left_out():
    plan = manifests.parse(config() + pod(SHARED), "m.yaml")
    assert lint(plan, ignore={"time-slice-unenforced"}) == ()


def test_every_rule_says_what_it_finds_and_where_the_fact_is_from():
    named = [(rule.name, rule.find.__doc__) for rule in PLAN_RULES]
    named += [(rule.name, rule.find.__doc__) for rule in NODE_RULES]
    for name, words in named:
        assert "Source:" in (words or ""), name
