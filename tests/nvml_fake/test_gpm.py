"""GPM: what two samples of one entity say, and every way in which they say nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.fake_nvml.state import GPM_DRAM, GPM_GRAPHICS, GPM_SM, GPM_TENSOR, Code, FakeDriver
from tests.nvml_fake.conftest import Become
from tests.nvml_fake.nodes import h100, mixed
from tests.nvml_fake.test_mig import code_of, slots

WANTED = (GPM_GRAPHICS, GPM_SM, GPM_TENSOR, GPM_DRAM)

Take = Callable[[Any], None]


def quick() -> FakeDriver:
    """Samples of any age may be compared, so that no test has to wait."""
    return replace(mixed(), gpm_window_us=0)


@pytest.fixture
def pair(nvml: Any) -> Iterator[tuple[Any, Any]]:
    samples = nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()
    yield samples
    for sample in samples:
        nvml.nvmlGpmSampleFree(sample)


def asked(nvml: Any, pair: tuple[Any, Any]) -> Any:
    request = nvml.c_nvmlGpmMetricsGet_t()
    request.version, request.numMetrics = nvml.NVML_GPM_METRICS_GET_VERSION, len(WANTED)
    request.sample1, request.sample2 = pair
    for place, number in enumerate(WANTED):
        request.metrics[place].metricId = number
    return request


def metrics(nvml: Any, pair: tuple[Any, Any]) -> list[tuple[int, float]]:
    answer = nvml.nvmlGpmMetricsGet(asked(nvml, pair))
    return [(answer.metrics[place].nvmlReturn, answer.metrics[place].value) for place in range(len(WANTED))]


def test_two_samples_of_a_gpu_instance_give_values_and_refusals_one_by_one(
    nvml: Any, become: Become, pair: tuple[Any, Any]
) -> None:
    become(quick())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    for sample in pair:
        nvml.nvmlGpmMigSampleGet(parent, 2, sample)
    (engine, sm, tensor, dram) = metrics(nvml, pair)
    assert engine == (0, 80.0)
    assert sm[0] == 0
    assert math.isnan(sm[1])
    assert tensor[0] == Code.NOT_SUPPORTED
    assert dram == (0, 12.5)


def test_the_values_are_those_of_the_newer_sample(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(quick())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.nvmlGpmSampleGet(parent, pair[0])
    become(quick().changed(h100().uuid, gpm={GPM_GRAPHICS: 55.5}))
    nvml.nvmlGpmSampleGet(parent, pair[1])
    become(quick().changed(h100().uuid, gpm={GPM_GRAPHICS: 1.0}))
    assert metrics(nvml, pair)[0] == (0, 55.5)
    assert metrics(nvml, pair)[1][0] == Code.NOT_SUPPORTED


def test_a_mig_handles_sample_is_the_compute_instances(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(quick())
    found = slots(nvml, nvml.nvmlDeviceGetHandleByIndex(0))
    for slot, expected in ((0, 80.0), (1, 99.0)):  # the first has no values of its own
        for sample in pair:
            nvml.nvmlGpmSampleGet(found[slot], sample)
        assert metrics(nvml, pair)[0] == (0, expected)
    become(replace(quick(), gpm_on_mig_handles=False))
    assert code_of(nvml, lambda: nvml.nvmlGpmSampleGet(found[0], pair[0])) == Code.INVALID_ARGUMENT


def test_samples_need_a_tenth_of_a_second_between_them(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(replace(mixed(), gpm_window_us=60_000_000))
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    for sample in pair:
        nvml.nvmlGpmMigSampleGet(parent, 2, sample)
    assert code_of(nvml, lambda: metrics(nvml, pair)) == Code.INVALID_ARGUMENT
    become(mixed())
    nvml.nvmlGpmMigSampleGet(parent, 2, pair[0])
    time.sleep(0.11)
    nvml.nvmlGpmMigSampleGet(parent, 2, pair[1])
    assert metrics(nvml, pair)[0] == (0, 80.0)


def _of(nvml: Any, handle: Any) -> tuple[Take, ...]:
    small = slots(nvml, handle)[5]
    return (
        lambda sample: nvml.nvmlGpmMigSampleGet(handle, 2, sample),
        lambda sample: nvml.nvmlGpmMigSampleGet(handle, 9, sample),
        lambda sample: nvml.nvmlGpmSampleGet(handle, sample),
        lambda sample: nvml.nvmlGpmSampleGet(small, sample),
    )


def test_samples_of_different_entities_are_not_compared(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(quick())
    takes = _of(nvml, nvml.nvmlDeviceGetHandleByIndex(0))
    for first in takes:
        for second in takes:
            first(pair[0])
            second(pair[1])
            if first is second:
                metrics(nvml, pair)
            else:
                assert code_of(nvml, lambda: metrics(nvml, pair)) == Code.INVALID_ARGUMENT


def test_a_sample_that_was_never_filled_gives_nothing(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(quick())
    nvml.nvmlGpmSampleGet(nvml.nvmlDeviceGetHandleByIndex(0), pair[1])
    assert code_of(nvml, lambda: metrics(nvml, pair)) == Code.INVALID_ARGUMENT


def test_samples_the_wrong_way_round_give_nothing(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(replace(mixed(), gpm_window_us=1))
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    for sample in reversed(pair):
        nvml.nvmlGpmSampleGet(parent, sample)
        time.sleep(0.001)
    assert code_of(nvml, lambda: metrics(nvml, pair)) == Code.INVALID_ARGUMENT


def test_a_baseline_from_before_a_re_creation_gives_a_plausible_wrong_number(
    nvml: Any, become: Become, pair: tuple[Any, Any]
) -> None:
    become(quick())
    parent = nvml.nvmlDeviceGetHandleByIndex(0)
    nvml.nvmlGpmMigSampleGet(parent, 9, pair[0])
    board = h100()
    anew = replace(board.instances[2], uuid="MIG-new")
    become(quick().changed(board.uuid, instances=(*board.instances[:2], anew)))
    nvml.nvmlGpmMigSampleGet(parent, 9, pair[1])
    code, value = metrics(nvml, pair)[0]
    assert code == 0
    assert value not in (10.0, 0.0)


def test_boards_without_gpm_say_so(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(quick())
    hopper, ada = nvml.nvmlDeviceGetHandleByIndex(0), nvml.nvmlDeviceGetHandleByIndex(1)
    assert [nvml.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice for handle in (hopper, ada)] == [1, 0]
    assert code_of(nvml, lambda: nvml.nvmlGpmSampleGet(ada, pair[0])) == Code.NOT_SUPPORTED
    assert code_of(nvml, lambda: nvml.nvmlGpmMigSampleGet(ada, 0, pair[0])) == Code.NOT_SUPPORTED
    assert code_of(nvml, lambda: nvml.nvmlGpmMigSampleGet(hopper, 5, pair[0])) == Code.INVALID_ARGUMENT
    assert nvml.nvmlGpmQueryIfStreamingEnabled(hopper) == 0


def test_a_request_of_another_version_is_refused(nvml: Any, become: Become, pair: tuple[Any, Any]) -> None:
    become(quick())
    request = asked(nvml, pair)
    request.version = 2
    assert code_of(nvml, lambda: nvml.nvmlGpmMetricsGet(request)) == Code.ARGUMENT_VERSION_MISMATCH
