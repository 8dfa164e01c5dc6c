"""The exporter as a process beside a dcgm-exporter: two A100s under MIG, whose activity only the page tells."""

from __future__ import annotations

from exporter.simulator.scenario import load
from exporter.simulator.sources import build
from tests.e2e.rig import Rig
from tests.fake_nvml.state import from_reading
from tests.fakes.port import http, port_server


def test_the_page_that_a_file_names_tells_what_the_driver_does_not(rig: Rig) -> None:
    node = build(load("mig-a100-dcgm"))
    reading = node.driver.read(25.0)
    assert node.dcgm is not None
    page = node.dcgm.page(25.0).encode()
    rig.driver_becomes(from_reading(reading))
    rig.kubelet.start()
    instances = {each.uuid for gpu in reading.inventory.gpus for each in gpu.instances}
    with port_server(http(page)) as port:
        config = rig.folder / "slicewatch.yaml"
        config.write_text(f"dcgm:\n  url: http://127.0.0.1:{port.port}/metrics\n")
        exporter = rig.start(f"--config.file={config}")
        told = exporter.until(
            lambda found: found.value("slicewatch_source_up", source="dcgm") == 1.0, "the page has been read"
        )
        active = told.rows("gpu_device_sm_active_ratio", "device")
        assert {device for (device,) in active} == instances
        assert max(active.values()) == 0.95
        sources = {each["uuid"]: each["sources"] for each in exporter.snapshot()["devices"]}
        assert {source for uuid in instances for source in sources[uuid].values()} == {"dcgm"}
        rig.stop()
        assert len(port.requests) == 1
