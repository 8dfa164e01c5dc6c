"""What the page says while the driver is in trouble, and after: its own readings go, and everything else stays."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.node import FREE, H100, L40S, SLICE, driver, furnish, hanging, kept
from tests.e2e.rig import ROOT, Rig, environment
from tests.e2e.scrape import Scrape
from tests.fake_nvml.state import EVENT_MIG_CONFIG, Code, FakeDriver, FakeEvent, FakeInstance
from tests.nvml.nodes import gpu_instance

BLIND = "gpu_partition_blind_seconds_total"
LOST = "gpu_partition_lost_seconds_total"
READINGS = ("gpu_device_memory_used_bytes", "gpu_device_power_watts", "gpu_partition_used_memory_bytes")
GUARANTEES = {("availability",), ("conformance",), ("memory",), ("compute",), ("isolation",)}


def measured(page: Scrape) -> bool:
    """Everything is up, and activity has been measured."""
    return page.down() == set() and page.value("gpu_partition_used_compute_ratio", device=SLICE) is not None


def test_a_driver_that_hangs_goes_down_alone_and_its_partitions_are_blind_until_it_is_back(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    exporter = rig.start()
    before = exporter.until(measured, "a good page")
    rig.driver_becomes(hanging())
    took: list[float] = []

    def timed(page: Scrape) -> bool:
        started = time.monotonic()
        exporter.scrape()
        took.append(time.monotonic() - started)
        return page.value("slicewatch_source_up", source="nvml") == 0

    down = exporter.until(timed, "the driver is down")
    # A scrape that waited for the driver would take the three seconds of its deadline.
    assert sorted(took)[len(took) * 9 // 10] < 0.1
    assert max(took) < 1.0
    assert down.down() == {"nvml", "gpm"}
    assert down.words("gpu_partition_info") == before.words("gpu_partition_info")
    assert down.words("gpu_device_info") == before.words("gpu_device_info")
    assert down.samples["gpu_partition_promised_memory_bytes"] == before.samples["gpu_partition_promised_memory_bytes"]
    for name in READINGS:
        assert name in before.samples
        assert name not in down.samples
    later = exporter.until(lambda page: page.ticks >= down.ticks + 4, "ticks go on while the call hangs", within=2.0)
    assert later.total(BLIND, reason="timeout") > down.total(BLIND, reason="timeout")
    for device in (SLICE, L40S):
        assert later.rows(BLIND, "guarantee", device=device, reason="timeout").keys() == GUARANTEES
        assert kept(later, device) == kept(down, device)
    answered = "slicewatch_source_last_success_timestamp_seconds"
    assert time.time() - (later.value(answered, source="nvml") or 0.0) > 3.0
    assert time.time() - (later.value(answered, source="cgroup") or 0.0) < 2.0
    rig.driver_becomes(driver())
    back = exporter.until(
        lambda page: page.down() == set() and kept(page, SLICE) > kept(later, SLICE), "the driver is back"
    )
    assert back.value("gpu_partition_used_memory_bytes", device=L40S) == before.value(
        "gpu_partition_used_memory_bytes", device=L40S
    )
    assert exporter.log.count("no answer within 3 s; the call is still running") == 1
    rig.stop()


def test_a_lost_gpu_breaks_the_availability_of_its_own_partitions_only(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    exporter = rig.start()
    exporter.until(measured, "a good page")
    rig.driver_becomes(driver().changed(H100, lost=Code.GPU_IS_LOST))
    lost = exporter.until(
        lambda page: page.value(LOST, device=SLICE, guarantee="availability", cause="device_lost") is not None,
        "the loss is counted",
    )
    assert lost.value("slicewatch_source_up", source="nvml") == 1
    assert lost.total(LOST, device=L40S) == 0
    assert lost.value("gpu_device_power_watts", gpu=H100) is None
    assert lost.value("gpu_device_power_watts", gpu=L40S) == 70
    assert lost.rows("gpu_partition_processes", "device").keys() == {(L40S,)}
    blind = exporter.until(lambda page: page.total(BLIND, device=SLICE, reason="device_lost") > 0, "the rest is blind")
    others = {("conformance",), ("memory",), ("compute",), ("isolation",)}
    assert blind.rows(BLIND, "guarantee", device=SLICE, reason="device_lost").keys() == others
    assert blind.total(BLIND, device=L40S, reason="device_lost") == 0
    rig.driver_becomes(driver())
    exporter.until(lambda page: measured(page) and kept(page, SLICE) > kept(blind, SLICE), "the GPU is back")
    rig.stop()


def reshaped() -> FakeDriver:
    """The H100 cut anew: one instance of another profile in place of the held one and the free one."""
    large = FakeInstance(
        uuid="MIG-5c9d7a10-0000-5000-8000-000000000077",
        index=0,
        gpu_instance=3,
        profile="2g.20gb",
        sm_count=32,
        memory_mib=20096,
        gpu_instance_slices=2,
    )
    cut = driver().changed(H100, instances=(large,), gpu_instances=(gpu_instance(3, profile_id=14, mib=20096),))
    return replace(cut, events=(FakeEvent(sequence=1, gpu=H100, type=EVENT_MIG_CONFIG),))


def test_an_instance_destroyed_under_its_pod_stays_the_pods_and_is_not_available(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    exporter = rig.start()
    before = exporter.until(measured, "a good page")
    rig.driver_becomes(reshaped())
    broken = exporter.until(
        lambda page: (page.value(LOST, device=SLICE, cause="mig_reconfigured") or 0.0) > 0, "the loss is counted"
    )
    # One join may be a race between the driver and the kubelet.
    assert (broken.value(BLIND, device=SLICE, guarantee="availability", reason="ambiguous") or 0.0) > 0
    assert broken.words("gpu_partition_info") == before.words("gpu_partition_info")
    assert broken.value("gpu_partition_promised_memory_bytes", device=SLICE) == 9984 << 20
    assert broken.value("gpu_partition_used_memory_bytes", device=SLICE) is None
    assert broken.rows("gpu_device_info", "profile", gpu=H100, kind="mig").keys() == {("2g.20gb",)}
    assert broken.value("slicewatch_orphans", kind="missing_device") == 1
    assert broken.value("slicewatch_orphans", kind="unowned_device") == 1
    assert broken.total(LOST, device=L40S) == 0
    rig.stop()


def test_a_driver_that_cannot_be_opened_is_waited_for_and_each_refusal_has_its_reason(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    rig.driver_is_unloaded()
    exporter = rig.start()
    page = exporter.until(lambda page: page.total(BLIND, device=L40S, reason="error") > 0, "blind without a driver")
    assert page.down() == {"nvml"}
    assert page.value("slicewatch_source_last_success_timestamp_seconds", source="nvml") is None
    assert page.words("gpu_device_info") == set()
    # A MIG instance whose GPU was never seen is no partition yet; a whole GPU's id says all that a key needs.
    assert page.rows("gpu_partition_info", "device").keys() == {(L40S,)}
    assert "the NVIDIA driver is not loaded" in exporter.log
    rig.driver_becomes(driver(init=Code.NO_PERMISSION))
    exporter.until(lambda page: page.total(BLIND, device=L40S, reason="permission") > 0, "blind without permission")
    assert "the NVIDIA driver refuses this process" in exporter.log
    rig.driver_becomes(driver())
    good = exporter.until(lambda page: measured(page) and kept(page, L40S) > 0, "the driver is opened")
    assert good.rows("gpu_partition_info", "device").keys() == {(L40S,), (SLICE,)}
    assert good.rows("gpu_device_info", "device", kind="mig").keys() == {(SLICE,), (FREE,)}
    rig.stop()


def test_without_privileges_what_the_driver_refuses_is_absent_and_says_permission(rig: Rig) -> None:
    furnish(rig).kubelet.start()
    rig.driver_becomes(replace(driver(), privileged=False))
    exporter = rig.start()
    page = exporter.until(lambda page: page.ticks >= 3 and kept(page, L40S) > 0, "some ticks")
    assert page.value("slicewatch_source_up", source="nvml") == 1
    refused = [
        (device["uuid"], name)
        for device in exporter.snapshot()["devices"]
        for name, value in device["use"].items()
        if value == {"missing": "permission"}
    ]
    assert (H100, "memory_used_bytes") in refused
    assert page.value("gpu_device_memory_used_bytes", device=H100) is None
    assert page.value("gpu_device_memory_used_bytes", device=L40S) == 700 << 20
    rig.stop()


def _no_driver_here() -> None:
    # In a process of its own: this one may have loaded the fake.
    load = [sys.executable, "-c", "import ctypes; ctypes.CDLL('libnvidia-ml.so.1')"]
    if subprocess.run(load, env=environment(), capture_output=True, check=False).returncode == 0:
        pytest.skip("this machine has an NVIDIA driver")


NO_LIBRARY = "libnvidia-ml.so.1 not found: is the NVIDIA driver installed, or its library mounted into this container?"


def test_without_a_driver_library_the_exporter_serves_all_the_same(tmp_path: Path) -> None:
    _no_driver_here()
    with Rig(tmp_path, None) as rig:
        furnish(rig).kubelet.start()
        exporter = rig.start()
        page = exporter.until(
            lambda page: page.total(BLIND, device=L40S, reason="unsupported") > 0, "blind without a library"
        )
        assert page.value("slicewatch_source_up", source="nvml") == 0
        assert page.value("slicewatch_source_up", source="podresources") == 1
        assert page.rows("gpu_partition_info", "pod", "workload").keys() == {("ranker-x2k9p", "ranker")}
        assert exporter.get("/-/healthy")[0] == 200
        assert exporter.log.count(NO_LIBRARY) == 1
        rig.stop()


def test_once_without_a_driver_library_ends_with_3_and_one_line(tmp_path: Path) -> None:
    _no_driver_here()
    with Rig(tmp_path, None) as rig:
        rig.kubelet.start()
        done = subprocess.run(
            [sys.executable, "-m", "slicewatch", *rig.arguments("--once")],
            cwd=ROOT,
            env=environment(**rig.variables()),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
    assert (done.returncode, done.stderr) == (3, f"slicewatch: nvml: {NO_LIBRARY}\n")
    assert 'slicewatch_source_up{source="nvml"} 0.0' in done.stdout
