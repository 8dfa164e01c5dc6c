"""Reading manifests: whatever makes pods, in however many documents, with the line of each; and files that are none."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from exporter.lint import manifests
from exporter.lint.model import Plan, Workload
from exporter.model import Sharing
from toolkit.errors import ConfigError


def plan(text: str) -> Plan:
    return manifests.parse(dedent(text), "m.yaml")


def only(text: str) -> Workload:
    found = plan(text).workloads
    assert len(found) == 1
    return found[0]


TEMPLATE = "template: {spec: {containers: [{name: a, resources: {limits: {nvidia.com/gpu: 1}}}]}}"


@pytest.mark.parametrize(
    ("text", "title", "pods"),
    [
        ("{kind: Pod, metadata: {name: x, namespace: n}, spec: {containers: [{name: a}]}}", "Pod n/x", 1),
        ("{kind: Pod, metadata: {generateName: x-}, spec: {containers: []}}", "Pod x-", 1),
        (f"{{kind: Deployment, metadata: {{name: x}}, spec: {{replicas: 3, {TEMPLATE}}}}}", "Deployment x", 3),
        (f"{{kind: Deployment, metadata: {{name: x}}, spec: {{{TEMPLATE}}}}}", "Deployment x", 1),
        (f"{{kind: Deployment, metadata: {{name: x}}, spec: {{replicas: 0, {TEMPLATE}}}}}", "Deployment x", 0),
        (f"{{kind: StatefulSet, metadata: {{name: x}}, spec: {{replicas: 2, {TEMPLATE}}}}}", "StatefulSet x", 2),
        (f"{{kind: DaemonSet, metadata: {{name: x}}, spec: {{{TEMPLATE}}}}}", "DaemonSet x", 1),
        (f"{{kind: Job, metadata: {{name: x}}, spec: {{parallelism: 4, {TEMPLATE}}}}}", "Job x", 4),
        (f"{{kind: Job, metadata: {{name: x}}, spec: {{parallelism: 4, completions: 2, {TEMPLATE}}}}}", "Job x", 2),
        (f"{{kind: CronJob, metadata: {{name: x}}, spec: {{jobTemplate: {{spec: {{{TEMPLATE}}}}}}}}}", "CronJob x", 1),
        (
            f"{{kind: PyTorchJob, metadata: {{name: x}}, spec: {{pytorchReplicaSpecs: {{Worker: {{replicas: 5, {TEMPLATE}}}}}}}}}",
            "PyTorchJob x",
            5,
        ),
        (f"{{kind: RayCluster, metadata: {{name: x}}, spec: {{workerGroupSpecs: [{{replicas: 2, {TEMPLATE}}}]}}}}", "RayCluster x", 2),
    ],
)  # fmt: skip
def test_whatever_makes_pods_is_read_with_how_many_it_makes(text: str, title: str, pods: int):
    workload = only(text)
    assert (workload.title, workload.pods) == (title, pods)


def test_lines_are_those_of_the_file_across_documents_and_inside_of_a_config_map():
    found = plan(
        """\
        # a comment
        kind: Pod
        metadata: {name: x}
        spec:
          containers:
          - name: a
          - name: b
            resources: {requests: {nvidia.com/gpu: "1"}}
        ---
        kind: ConfigMap
        metadata: {name: plugin}
        data:
          note: sharing is caring
          other: |
            a: 1
          any: |
            version: v1
            sharing:
              timeSlicing:
                resources:
                - name: nvidia.com/gpu
                  replicas: 4
        ---
        version: v1
        sharing: {mps: {resources: [{name: gpu, replicas: 2}]}}
        """
    )
    assert [container.where for container in found.workloads[0].containers] == ["m.yaml:6", "m.yaml:7"]
    assert found.workloads[0].containers[1].asks == {"nvidia.com/gpu": 1}
    assert [(s.where, s.strategy, s.advertised, s.replicas) for s in found.shared] == [
        ("m.yaml:21", Sharing.TIME_SLICING, "nvidia.com/gpu", 4),
        ("m.yaml:25", Sharing.MPS, "nvidia.com/gpu", 2),
    ]
    assert found.documents == 3


def test_lists_anchors_merge_keys_and_tags_are_understood():
    workload = only(
        """\
        kind: List
        items:
        - kind: Deployment
          metadata: {name: x, labels: !!map {a: b}}
          spec:
            replicas: !!int 2
            template:
              spec:
                containers:
                - &base
                  name: a
                  resources: {limits: {nvidia.com/gpu: 1}}
                - <<: *base
                  name: b
        """
    )
    assert workload.pods == 2
    assert [(c.name, dict(c.asks)) for c in workload.containers] == [
        ("a", {"nvidia.com/gpu": 1}),
        ("b", {"nvidia.com/gpu": 1}),
    ]


def test_init_containers_give_their_slots_back_and_sidecars_do_not():
    workload = only(
        """\
        kind: Pod
        metadata: {name: x}
        spec:
          initContainers:
          - {name: warm, resources: {limits: {nvidia.com/gpu: 3}}}
          - {name: sidecar, restartPolicy: Always, resources: {limits: {nvidia.com/gpu: 1}}}
          containers:
          - {name: a, resources: {limits: {nvidia.com/gpu: 1}}}
        """
    )
    assert workload.slots("nvidia.com/gpu") == 3
    assert [c.name for c in workload.containers if not c.init] == ["sidecar", "a"]


def test_what_is_no_kubernetes_object_is_passed_over():
    assert plan("replicaCount: 3\n---\n- a\n- b\n---\njust words\n---\n---\n").workloads == ()
    assert plan("").documents == 0


def test_null_is_absent():
    workload = only(
        "kind: Pod\nmetadata:\nspec: {containers: [{name: a, env: , resources: {limits: ~}, securityContext: }]}"
    )
    assert workload.containers[0].asks == {}


# --- faults ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: Pod\nspec: {containers: 3}", 'm.yaml:2:20: "3"; expected a list'),
        ("kind: Pod\nspec: {containers: [a]}", 'm.yaml:2:21: "a"; expected a mapping'),
        (
            "kind: Pod\nspec: {containers: [{resources: {limits: {nvidia.com/gpu: 0.5}}}]}",
            '"0.5"; expected a whole number',
        ),
        ("kind: Pod\nspec: {containers: [{resources: {limits: {nvidia.com/gpu: [1]}}}]}", "a list; expected text"),
        ("kind: Pod\nspec: {hostPID: maybe, containers: []}", "expected true or false"),
        (f"kind: Deployment\nspec: {{replicas: -1, {TEMPLATE}}}", "expected a whole number of at least 0"),
        ("version: v1\nsharing: {mps: {resources: [{name: gpu}]}}", "without name or replicas"),
        ("? [a]\n: 1", "a key that is no word"),
    ],
)
def test_a_wrong_type_in_what_is_read_is_a_fault_with_its_place(text: str, said: str):
    with pytest.raises(ConfigError) as caught:
        manifests.parse(text, "m.yaml")
    assert any(said in line for line in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", r"m\.yaml:[12]:[16]: "),
        ("a: b: c", r"m\.yaml:1:5: "),
        ("a: \x07", "m.yaml: "),
        ("a: *nowhere", r"m\.yaml:1:4: "),
        ("&a [*a]", r'm\.yaml:1:5: the alias "a" has no anchor before it'),
        ("[" * 5000, r"m\.yaml:1:101: nested deeper than 100 levels"),
        ("kind: {{ .Values.kind }}\nx: {{- end }}", "unrendered template"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(text: str, said: str):
    with pytest.raises(ConfigError, match=said):
        manifests.parse(text, "m.yaml")


def test_aliases_that_expand_without_end_cost_nothing():
    lines = ["a0: &a0 {kind: List, items: []}"]
    lines += [f"a{n}: &a{n} {{kind: List, items: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 30)]
    assert plan("\n".join(lines)).workloads == ()
    with pytest.raises(ConfigError, match="objects"):
        plan("\n".join([*lines, "kind: List", "items: [*a29]"]))


def test_directories_are_read_in_order_without_hidden_files(tmp_path: Path):
    (tmp_path / "b").mkdir()
    (tmp_path / ".git").mkdir()
    for name in ("b/2.yml", "a.yaml", ".git/x.yaml", ".hidden.yaml"):
        (tmp_path / name).write_text(f"kind: Pod\nmetadata: {{name: {Path(name).stem}}}\nspec: {{containers: []}}\n")
    (tmp_path / "c.json").write_text(json.dumps({"kind": "Pod", "metadata": {"name": "c"}, "spec": {"containers": []}}))
    (tmp_path / "readme.md").write_text("{{{")
    assert [w.name for w in manifests.read([tmp_path]).workloads] == ["a", "2", "c"]


def test_the_faults_of_all_files_are_told_at_once(tmp_path: Path):
    (tmp_path / "a.yaml").write_text("a: [1")
    (tmp_path / "b.yaml").write_text("kind: Pod\nspec: {containers: 1}\n")
    (tmp_path / "c.yaml").write_bytes(b"a: 1\nb: \xff\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError) as caught:
        manifests.read([tmp_path, tmp_path / "absent.yaml", tmp_path / "empty"])
    lines = [line.removeprefix(f"{tmp_path}/") for line in caught.value.problems]
    assert [line.split(":")[0] for line in lines] == ["a.yaml", "c.yaml", "absent.yaml", "empty", "b.yaml"]
    assert lines[1] == "c.yaml:2:1: not UTF-8 text"
