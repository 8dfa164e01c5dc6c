"""How busy a device was between two readings: GPM, the one activity that NVML offers of a MIG instance.

GPM (Hopper and newer) takes the difference of two samples. A sample is of a GPU instance or of a whole GPU, asked by
the parent's handle: asking by the MIG device's own handle has been reported to spoil later memory queries. Its ratios
are relative to what was sampled, so a GPU instance that is split into several compute instances has one figure, which
is none of theirs: they have no activity of their own here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from exporter.model import DeviceUuid, GpuUuid, Missing, Reading, Reason
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import LOST, NOT_SUPPORTED, SUCCESS, UNSUPPORTED, Calls, Spot, missing_for

_METRICS: Final = (1, 2, 5, 10)
"""GRAPHICS_UTIL, SM_UTIL, ANY_TENSOR_UTIL, DRAM_BW_UTIL (nvmlGpmMetricId_t of nvml.h), in percent."""

_SHORTEST: Final = 0.1
"""Seconds; two samples must be further apart (nvml.h on nvmlGpmSampleGet)."""

_LONGEST: Final = 600.0
"""Seconds; an average over more says nothing about now, so the baseline is taken anew."""

NOT_YET: Final = Missing(Reason.NOT_YET)
_FAILED: Final = Missing(Reason.ERROR)


class Activity(NamedTuple):
    """Ratios of a device's own capacity, as the driver gives them: noise above 1 is not cut off."""

    engine: Reading
    sm: Reading
    tensor: Reading
    bandwidth: Reading

    @classmethod
    def all(cls, why: Missing) -> Activity:
        """Nothing is known, for one reason."""
        return cls(why, why, why, why)


_FIRST: Final = Activity.all(NOT_YET)


@dataclass(frozen=True, slots=True)
class Target:
    """What a sample is taken of. `identity` has to stay the same for a difference of two samples to mean anything."""

    board: Spot
    gpu_instance: int | None
    device: DeviceUuid
    identity: Spot

    @property
    def key(self) -> tuple[GpuUuid, int | None]:
        """Where its meter is kept."""
        return self.board.gpu, self.gpu_instance


class _Meter:
    """Two samples of one target, used in turn for as long as it lives."""

    def __init__(self, older: Any, newer: Any, identity: Spot) -> None:
        self.older = older
        self.newer = newer
        self.identity = identity
        self.taken: float | None = None  # when `older` was; monotonic seconds
        self.last = _FIRST


class Meters:
    """The meters of one session. Every sample must be freed before the library is shut down: `close`."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._meters: dict[tuple[GpuUuid, int | None], _Meter] = {}
        self._supported: set[GpuUuid] = set()
        self._metrics: Any = None
        self._rows: tuple[Any, ...] = ()

    def read(self, boards: Iterable[Board], now: float) -> dict[DeviceUuid, Activity]:
        """Sample every device that can be sampled. `now` is monotonic seconds."""
        activity: dict[DeviceUuid, Activity] = {}
        alive = set()
        for board in boards:
            refusal = self._support(board.spot)
            for target in targets(board):
                if refusal is not LOST:
                    alive.add(target.key)
                activity[target.device] = self._read(target, now) if refusal is None else Activity.all(refusal)
        for key in self._meters.keys() - alive:
            self._drop(key)
        return activity

    def close(self) -> None:
        """Free every sample."""
        for key in tuple(self._meters):
            self._drop(key)

    def _support(self, board: Spot) -> Missing | None:
        if board.gpu in self._calls.lost:
            return LOST
        if board.gpu not in self._supported:
            answer = self._calls.ask(board, self._query)
            if isinstance(answer, Missing):
                return answer
            self._supported.add(board.gpu)
        return None

    def _query(self, handle: Any) -> None:
        """Ask whether a board has GPM; "no" as a refusal, as older libraries say it."""
        lib = self._calls.lib
        if not lib.nvmlGpmQueryDeviceSupport(handle).isSupportedDevice:
            raise lib.NVMLError(NOT_SUPPORTED)

    def _read(self, target: Target, now: float) -> Activity:
        meter = self._meter(target)
        if isinstance(meter, Missing):
            return Activity.all(meter)
        if meter.taken is not None and now - meter.taken <= _SHORTEST:
            return meter.last
        refusal = self._sample(target, meter.newer)
        if refusal is not None:
            return Activity.all(refusal)
        if meter.taken is None or now - meter.taken > _LONGEST:
            meter.last = _FIRST
        else:
            meter.last = self._difference(target.board.gpu, meter)
        meter.older, meter.newer, meter.taken = meter.newer, meter.older, now
        return meter.last

    def _meter(self, target: Target) -> _Meter | Missing:
        meter = self._meters.get(target.key)
        if meter is not None:
            if meter.identity is not target.identity:
                meter.identity, meter.taken, meter.last = target.identity, None, _FIRST
            return meter
        pair: list[Any] = []
        for _ in range(2):
            sample = self._calls.attempt(target.board.gpu, self._calls.lib.nvmlGpmSampleAlloc)
            if isinstance(sample, Missing):
                self._free(pair)
                return sample
            pair.append(sample)
        self._meters[target.key] = meter = _Meter(pair[0], pair[1], target.identity)
        return meter

    def _sample(self, target: Target, into: Any) -> Missing | None:
        calls, board = self._calls, target.board
        if target.gpu_instance is None:
            answer = calls.ask(board, calls.lib.nvmlGpmSampleGet, into=(into,))
        else:
            answer = calls.ask(board, calls.lib.nvmlGpmMigSampleGet, target.gpu_instance, into=(into,))
        return answer if isinstance(answer, Missing) else None

    def _difference(self, gpu: GpuUuid, meter: _Meter) -> Activity:
        request = self._request()
        request.sample1, request.sample2 = meter.older, meter.newer
        answer = self._calls.attempt(gpu, self._calls.lib.nvmlGpmMetricsGet, request)
        if isinstance(answer, Missing):
            # The samples were taken, so it is no want of support.
            return Activity.all(_FAILED if answer is UNSUPPORTED else answer)
        return Activity(*(_ratio(row.nvmlReturn, row.value) for row in self._rows))

    def _request(self) -> Any:
        # 19 KB with room for every metric there is, of which four are asked: one for the life of the session.
        if self._metrics is None:
            request = self._calls.lib.c_nvmlGpmMetricsGet_t()
            request.version = self._calls.lib.NVML_GPM_METRICS_GET_VERSION
            request.numMetrics = len(_METRICS)
            self._rows = tuple(request.metrics[position] for position in range(len(_METRICS)))
            for row, metric in zip(self._rows, _METRICS, strict=True):
                row.metricId = metric
            self._metrics = request
        return self._metrics

    def _drop(self, key: tuple[GpuUuid, int | None]) -> None:
        meter = self._meters.pop(key)
        self._free((meter.older, meter.newer))

    def _free(self, samples: Iterable[Any]) -> None:
        # Under no GPU's name: a lost one's samples are freed too.
        for sample in samples:
            self._calls.attempt(None, self._calls.lib.nvmlGpmSampleFree, sample)


def targets(board: Board) -> Iterator[Target]:
    """Say what to sample of a board: the GPU instances that are one compute instance each, or the whole GPU."""
    if not board.mig:
        yield Target(board.spot, None, board.spot.uuid, board.spot)
        return
    members = defaultdict(list)
    for spot, instance in board.members:
        members[instance.gpu_instance].append(spot)
    for gpu_instance, sharers in members.items():
        if len(sharers) == 1:
            yield Target(board.spot, gpu_instance, sharers[0].uuid, sharers[0])


def _ratio(code: int, percent: float) -> Reading:
    if code != SUCCESS:
        return missing_for(code)
    # NaN is what a device that does not count this answers (DCGM tests for it).
    return percent / 100 if math.isfinite(percent) else UNSUPPORTED


def answered(activity: Iterable[Activity]) -> bool | Missing:
    """Whether GPM told anything of any device; Missing when none can, or when its first difference is still to come."""
    values = {value for of_device in activity for value in of_device}
    reasons = {value.reason for value in values if isinstance(value, Missing)}
    if len(reasons) < len(values):
        return True
    if reasons <= {Reason.UNSUPPORTED}:
        return UNSUPPORTED
    return NOT_YET if reasons <= {Reason.UNSUPPORTED, Reason.NOT_YET} else False
