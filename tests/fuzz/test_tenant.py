"""One hostile tenant on a node: it writes what it likes into its records, labels and its hook's region.

From its pod's object and its region's file to the page: the page stays well made, and its neighbours' lines are what they
are without the nonsense. Once its lease has begun, its records are read no more. What stands there from the start (an
exporter that starts later) can move a neighbour's isolation, on its own device alone: to blind where what the tenant was
promised is not known, and to broken where it promises itself less than it uses: then it overruns, by its own words
(docs/design.md, section 12). It moves nothing else of a neighbour's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.catalogue import CHECKS
from exporter.exposition import Writer
from exporter.ledger import Limits
from exporter.metrics import Own, families
from exporter.model import Allocations, Pod, Pods
from exporter.partitions import Evidence
from exporter.pipeline import Result, State, step
from exporter.policy import Policy
from exporter.sources.hami_region import SIZE, HookLimits
from exporter.sources.pods import slim
from exporter.verdict import Cause, Guarantee, Outcome, Verdict
from exporter.watched import Histogram
from tests.fuzz.hostile import NUMBERS, grafted, mangled, texts
from tests.join.worlds import evidence, facts, gpu, gpu_id, holds, process, reading, use
from tests.vendors.regions import put, region

MIB = 1 << 20
GPU1, GPU2 = gpu_id(1), gpu_id(2)
UIDS = {name: f"0000000{number}-1563-7ebb-8e3b-91d26ab4a829" for number, name in enumerate("abcx")}
WHERE = {"a": GPU1, "b": GPU1, "c": GPU2, "x": GPU1}
"""Tenants and the GPU that each has a part of; x is the hostile one."""
SANE = {"hami.io/vgpu-devices-allocated": f"{GPU1},NVIDIA,16000,20:;"}
KEYS = (
    *SANE,
    "volcano.sh/vgpu-ids-new",
    "hami.io/vgpu-mig-allocations",
    "gpu-fraction",
    "gpu-memory",
    "run.ai/reserve_for_gpu_index",
)


@dataclass(frozen=True)
class Written:
    """What the hostile tenant has written: its pod's annotations, labels and owner, and its region's first bytes."""

    annotations: Any
    labels: Any
    owners: Any
    region: bytes


SOUND = Written(SANE, {"app": "x"}, [], region({GPU1: (16000 * MIB, 20)})[:4096])

_LIES = tuple(
    f"{uuid},NVIDIA,{size},{cores}:;" for uuid in (GPU1, GPU2) for size, cores in ((80000, 100), (1, 1), (1, 0))
)
_RECORDS = (
    st.sampled_from(_LIES)
    | mangled((SANE[KEYS[0]], f"{GPU2},NVIDIA,80000,100:;"))
    | texts(f"{GPU2},NVIDIA,80000,100:;", f"{GPU1},NVIDIA,1,1:;")
)
_LABELS = st.dictionaries(
    st.sampled_from(("runai-gpu-group", "app", 'x"\n', "runai-gpu-group/g")) | texts(), texts(), max_size=3
)
WRITTEN = st.builds(
    Written,
    st.dictionaries(st.sampled_from(KEYS), _RECORDS | st.sampled_from(NUMBERS), max_size=4) | grafted(SANE, GPU2),
    _LABELS | grafted({"app": "x"}),
    grafted([{"kind": "ReplicaSet", "name": 'x"\n\\', "controller": True}]),
    st.binary(max_size=80) | st.just(SOUND.region) | st.just(region({GPU1: (1 << 40, 99)})[:4096]),
)


def pod_object(name: str, written: Written | None = None) -> dict[str, Any]:
    annotations: Any = {"hami.io/vgpu-devices-allocated": f"{WHERE[name]},NVIDIA,20000,30:;"}
    metadata: dict[str, Any] = {"uid": UIDS[name], "namespace": "team", "name": name, "annotations": annotations}
    if written is not None:
        metadata |= {"annotations": written.annotations, "labels": written.labels, "ownerReferences": written.owners}
    container = {"name": "main", "containerID": f"containerd://{name}-main", "state": {"running": {}}}
    return {
        "metadata": metadata,
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Running", "containerStatuses": [container]},
    }


def instant(at: int, written: Written, hooks: Path) -> Evidence:
    """The node at a second, with every tenant's process at work, and the regions read as they are."""
    pods = [slim(pod_object(name, written if name == "x" else None)) for name in WHERE]
    listed = tuple(pod for pod in pods if isinstance(pod, Pod))
    uses = {
        uuid: use(tuple(process(10 + n, 8000.0 * MIB, 0.2) for n, (_, on) in enumerate(WHERE.items()) if on == uuid))
        for uuid in (GPU1, GPU2)
    }
    allocated = Allocations(
        serial=at + 1,
        items=tuple(item for n, (name, on) in enumerate(WHERE.items()) for item in holds(name, f"{on}-{n}")),
        allocatable=tuple(
            ("nvidia.com/gpu", holds("x", f"{on}-{n}")[0].device) for on in (GPU1, GPU2) for n in range(8)
        ),
    )
    found = evidence(
        reading([gpu(1), gpu(2)], uses, at=float(at)),
        allocated,
        Pods(items=listed, node_labels={"nvidia.com/gpu.replicas": "8"}),
        *(facts(10 + n, UIDS[name], f"{name}-main") for n, name in enumerate(WHERE)),
        at=float(at),
    )
    asked = [(UIDS[name], "main", str(on)) for name, on in WHERE.items()]
    return Evidence(
        **{
            **{f: getattr(found, f) for f in found.__dataclass_fields__},
            "hooks": HookLimits(str(hooks)).read(asked, 0.0),
        }
    )


def run(told: Sequence[Written]) -> list[tuple[Result, bytes, bytes]]:
    """Play one second for each thing written; return results with pages in both formats."""
    state, writer, pages = State(), Writer(), []
    own = Own(
        version="0", python="3", ticks=Histogram((1.0,)).distribution(), sources=(), untrusted=dict.fromkeys(CHECKS, 0)
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in "abc":
            body = region({WHERE[name]: (20000 * MIB, 30)})
            os.truncate(put(Path(folder), UIDS[name], "main", body[:4096]), SIZE)
        for at, written in enumerate(told):
            os.truncate(put(Path(folder), UIDS["x"], "main", written.region), SIZE)
            result = step(state, instant(at, written, Path(folder)), Policy(), Limits())
            state = result.state
            page = writer.render(families(result.snapshot, result.verdicts, result.state.ledger, own), ())
            pages.append((result, page.text, page.openmetrics))
    return pages


def lines(page: bytes, *names: str) -> set[str]:
    """The lines of these tenants' partitions, and of the devices."""
    return {line for line in page.decode().splitlines() if any(f',pod="{name}",' in line for name in names)}


BASELINE = run([SOUND] * 6)


def parsed(page: bytes, openmetrics: bytes) -> int:
    """How many samples there are; both formats have the same. Raises ValueError for a page that is none."""
    text = [sample for family in parse_text(page.decode()) for sample in family.samples]
    other = [sample for family in parse_openmetrics(openmetrics.decode()) for sample in family.samples]
    assert len(text) == len(other)
    return len(text)


# Not shrunk: an example is a whole node of some seconds, and shrinking one took minutes.
BOUNDED = settings(
    max_examples=40,
    deadline=10_000,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_the_node_is_as_it_should_be_without_any_nonsense() -> None:
    result = BASELINE[-1][0]
    answers = {key.pod: verdicts for key, verdicts in result.verdicts.items()}
    assert set(answers) == set(WHERE)
    assert {answers[name][Guarantee.CONFORMANCE].outcome for name in WHERE} == {Outcome.KEPT}
    assert {answers[name][Guarantee.ISOLATION].outcome for name in WHERE} == {Outcome.KEPT}
    assert all(len(lines(BASELINE[-1][1], name)) > 20 for name in WHERE)


@BOUNDED
@given(st.lists(WRITTEN, min_size=1, max_size=3))
def test_what_a_tenant_writes_while_it_runs_changes_no_line_of_a_neighbours(nonsense: list[Written]) -> None:
    told = [SOUND, SOUND, SOUND, *nonsense]
    for (_, page, openmetrics), (_, before, _) in zip(run(told), BASELINE, strict=False):
        assert parsed(page, openmetrics) > 100
        assert lines(page, "a", "b", "c") == lines(before, "a", "b", "c")


def answers(result: Result) -> Mapping[tuple[str, Guarantee], Verdict]:
    return {(key.pod, g): verdict for key, found in result.verdicts.items() for g, verdict in found.items()}


def excused(guarantee: Guarantee, answer: Verdict) -> bool:
    overruns = answer.outcome is Outcome.BROKEN and set(answer.loss) == {Cause.NEIGHBOUR_OVERRUN}
    return guarantee is Guarantee.ISOLATION and (answer.outcome is Outcome.BLIND or overruns)


@BOUNDED
@given(WRITTEN)
def test_what_stands_there_from_the_start_moves_nothing_but_what_the_tenant_is_held_to_itself(
    nonsense: Written,
) -> None:
    for (result, page, openmetrics), (sound, _, _) in zip(run([nonsense] * 4), BASELINE, strict=False):
        assert parsed(page, openmetrics) > 100
        found = answers(result)
        for (name, guarantee), before in answers(sound).items():
            if name != "x":
                now = found[name, guarantee]
                assert now.outcome is before.outcome or excused(guarantee, now), (name, guarantee, now)


def test_promtool_accepts_the_page_of_a_hostile_node() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed: apt-get install prometheus")
        pytest.skip("promtool is not installed: apt-get install prometheus")
    nasty = 'x"\n\\\u2028\x1b[2J\0\U0001f4a9'
    owners = [{"kind": nasty, "name": nasty, "controller": True}]
    page = run([Written({**SANE, "gpu-fraction": nasty}, {nasty: nasty, "runai-gpu-group": nasty}, owners, b"x")] * 3)[
        -1
    ][1]
    assert b"\x1b" in page  # it got as far as a label
    done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=30, check=False)
    complaints = [line for line in done.stderr.decode().splitlines() if "_count" not in line]
    assert complaints == []
