"""The doctor as a process, on the fake driver, a kubelet's socket, an API server, a procfs and HAMi's directory."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tests.e2e.mirror import pod_object
from tests.e2e.node import L40S, RANKER, furnish
from tests.e2e.rig import ROOT, Rig, environment
from tests.vendors.regions import put, region

MIB = 1 << 20


def doctor(rig: Rig, *flags: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "slicewatch", "doctor", *rig.arguments()[1:], *flags],
        cwd=ROOT,
        env=environment(**rig.variables()),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def state(screen: str, name: str) -> str:
    """What stands behind a name, up to the next column."""
    found = re.search(rf"^{re.escape(name)}\s{{2,}}(\S+(?: \S+)*)", screen, re.MULTILINE)
    return "" if found is None else found[1]


def parted_by_hami(rig: Rig, hooks: Path) -> None:
    """The L40S is HAMi's: two pods have parts of it, and one of them switched the hook off."""
    furnish(rig)
    hooks.mkdir()
    rig.kubelet.listed.Clear()
    rebel = replace(RANKER, uid=RANKER.uid[:-1] + "9", name="rebel", container_ids={"c" * 64: "serve"})
    for number, pod in enumerate((RANKER, rebel)):
        whole = pod_object(pod)
        whole["metadata"]["annotations"] = {"hami.io/vgpu-devices-allocated": f"{L40S},NVIDIA,8000,30:;"}
        rig.kubelet.hold(pod.namespace, pod.name, "serve", "nvidia.com/gpu", f"{L40S}-{number}")
        if pod is rebel:
            whole["spec"]["containers"][0]["env"] = [{"name": "CUDA_DISABLE_CONTROL", "value": "true"}]
        rig.api.put(whole)
    put(hooks, RANKER.uid, "serve", region({L40S: (8000 * MIB, 30)}))


def test_a_node_in_order(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    status, screen = doctor(rig)
    assert status == 0, screen
    assert {state(screen, name) for name in ("nvml", "podresources", "kubernetes", "cgroup")} == {"ok"}
    assert state(screen, "whole GPU") == "1 ×"
    assert re.search(r"^MIG +1 × +all five guarantees", screen, re.MULTILINE)
    assert state(screen, "MPS daemons") == "not needed"
    assert state(screen, "NVIDIA_MIG_MONITOR_DEVICES") == "ok"


def test_a_node_of_hami_whose_hook_is_off_in_one_pod(rig: Rig, tmp_path: Path) -> None:
    parted_by_hami(rig, tmp_path / "hooks")
    rig.kubelet.start()
    status, screen = doctor(rig, f"--path.hami={tmp_path / 'hooks'}")
    assert status == 0, screen
    assert state(screen, "HAMi") == "2 ×"
    assert state(screen, "HAMi's hook") == "partly"
    assert "read for 1 of 2 (1 not_yet)" in screen
    assert state(screen, "D13 unenforced") == "breach"
    assert "checkout/rebel (serve) on GPU 1" in screen
    assert "next  kubectl -n checkout describe pod rebel" in screen


def test_a_directory_that_is_not_mounted_is_down_and_says_what_is_blind(rig: Rig, tmp_path: Path) -> None:
    parted_by_hami(rig, tmp_path / "hooks")
    rig.kubelet.start()
    status, screen = doctor(rig, f"--path.hami={tmp_path / 'nowhere'}")
    assert status == 3
    assert state(screen, "HAMi's hook") == "down"
    words = " ".join(screen.split())
    assert "is HAMi's directory of the host mounted here? (--path.hami); without it conformance is blind" in words


def test_a_kubelet_that_is_away_costs_the_owners_and_ends_with_3(rig: Rig) -> None:
    furnish(rig)
    status, screen = doctor(rig, "--path.hami=")
    assert status == 3
    assert state(screen, "podresources") == "down"
    assert state(screen, "PodResources socket") == "missing"
    assert "held by nobody that is seen here" in screen
    assert state(screen, "HAMi's hook") == "off"
    assert state(screen, "MPS daemons") == "untold"
    assert "drifts    not all can be seen without podresources" in screen
