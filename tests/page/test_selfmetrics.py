"""What the program says of its own process is what the client library would say."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from exporter.exposition import Writer
from exporter.selfmetrics import SelfMetrics

NOW = {"process_cpu_seconds_total", "process_virtual_memory_bytes", "process_resident_memory_bytes", "process_open_fds"}
"""Values that two readings a moment apart may differ in."""


def ours(procfs: str = "/proc") -> dict[str, tuple[str, str, dict[str, str], float]]:
    return read(Writer().render([], SelfMetrics(procfs).read()).text)


def read(page: bytes) -> dict[str, tuple[str, str, dict[str, str], float]]:
    return {
        sample.name: (family.type, family.documentation, sample.labels, sample.value)
        for family in parse(page.decode())
        for sample in family.samples
    }


def library() -> dict[str, tuple[str, str, dict[str, str], float]]:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return read(generate_latest(registry))


def test_the_families_are_the_librarys() -> None:
    own, theirs = ours(), library()
    assert set(own) == set(theirs)
    for name in own:
        assert own[name][:3] == theirs[name][:3]
        if name in NOW:
            assert own[name][3] == pytest.approx(theirs[name][3], rel=0.5)
        else:
            assert own[name][3] == pytest.approx(theirs[name][3])


def test_a_command_with_brackets_and_spaces_does_not_shift_the_fields(tmp_path: Path) -> None:
    (tmp_path / "self" / "fd").mkdir(parents=True)
    (tmp_path / "self" / "fd" / "0").touch()
    numbers = " ".join(str(n) for n in range(1, 50))
    (tmp_path / "self" / "stat").write_text(f"7 (a) b (c) S {numbers}\n")
    (tmp_path / "stat").write_text("cpu 1 2 3\nbtime 1000\n")
    found = {name: value for name, (_, _, _, value) in ours(str(tmp_path)).items()}
    assert found["process_virtual_memory_bytes"] == 20
    assert found["process_open_fds"] == 1
    assert found["process_start_time_seconds"] > 1000


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    assert set(ours(str(tmp_path))) == {"python_info"}
