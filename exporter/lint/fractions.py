"""Lint rules about fractions that a scheduler or a hook keeps account of: KAI's annotations, HAMi's and Volcano's cores."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from exporter.lint.model import Container, Found, Plan, Rule, Severity, Workload, counted
from exporter.policy import Policy

_FRACTION = "gpu-fraction"
_MEMORY = "gpu-memory"
_DEVICES = "gpu-fraction-num-devices"
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?|\.[0-9]{1,9}")
_CORES = ("nvidia.com/gpucores", "volcano.sh/vgpu-cores")
_MEMORIES = ("nvidia.com/gpumem", "volcano.sh/vgpu-memory")
_PERCENTAGES = ("nvidia.com/gpumem-percentage", "volcano.sh/vgpu-memory-percentage")
_GPUS = ("nvidia.com/gpu", "volcano.sh/vgpu-number")
_WHOLE_PERCENT = 100
_POLICY = "GPU_CORE_UTILIZATION_POLICY"
_SWITCH = "CUDA_DISABLE_CONTROL"


# --- KAI --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kai:
    """A KAI annotation: which, as written, as a number (None: it is none), and of how many devices each."""

    workload: Workload
    name: str
    written: str
    value: float | None
    devices: int

    @property
    def words(self) -> str:
        return f"KAI {self.name}={self.written}{' MiB' if self.name == _MEMORY else ''}"


def _kai(plan: Plan) -> Iterator[_Kai]:
    for workload in plan.workloads:
        devices = workload.annotations.get(_DEVICES, "1")
        for name in (_FRACTION, _MEMORY):
            written = workload.annotations.get(name)
            if written is not None:
                value = float(written) if _NUMBER.fullmatch(written) else None
                yield _Kai(workload, name, written, value, int(devices) if devices.isdecimal() else 1)


def kai_out_of_range(plan: Plan, _: Policy) -> Iterator[Found]:
    """A KAI fraction that is not between 0 and 1, or a KAI amount that is no number.

    Source: KAI-Scheduler pkg/common/constants: gpu-fraction is above 0 and below 1, gpu-memory is in MiB.
    """
    for ask in _kai(plan):
        least_fault = ask.value is None or ask.value <= 0
        if least_fault or (ask.name == _FRACTION and ask.value is not None and ask.value >= 1):
            expected = "a number of MiB above 0" if ask.name == _MEMORY else "a fraction above 0 and below 1"
            yield Found(
                where=ask.workload.where,
                what=f"{ask.workload.title}: {ask.words}",
                why=f"expected {expected}",
                advice="for whole GPUs ask for nvidia.com/gpu instead",
            )


def kai_above_node(plan: Plan, _: Policy) -> Iterator[Found]:
    """KAI fractions or amounts of memory that add up to more than the node's GPUs.

    Source: KAI-Scheduler issue 416: amounts are rounded to fractions, and a GPU was promised beyond its memory.
    """
    if not plan.boards:
        return
    by_memory = [ask for ask in _kai(plan) if ask.name == _MEMORY and ask.value]
    promised = sum(ask.value * ask.devices * ask.workload.pods for ask in by_memory if ask.value)
    largest = max(board.memory_mib for board in plan.boards)
    for ask in by_memory:
        if ask.value and ask.value > largest:
            yield Found(
                where=ask.workload.where,
                what=f"{ask.workload.title}: {ask.words} on a GPU of {largest} MiB",
                why="larger than any GPU here",
                advice="a larger GPU, or less",
            )
    if promised > plan.memory_mib:
        yield Found(
            where=by_memory[0].workload.where,
            what=f"{_together(by_memory)} on {counted(plan.gpus, 'GPU')} of {plan.memory_mib} MiB",
            why=f"{promised:.0f} MiB are promised",
            advice="fewer pods, or less each",
        )
    by_fraction = [ask for ask in _kai(plan) if ask.name == _FRACTION and ask.value and ask.value < 1]
    fractions = sum(ask.value * ask.devices * ask.workload.pods for ask in by_fraction if ask.value)
    if fractions > plan.gpus + 1e-9:
        yield Found(
            where=by_fraction[0].workload.where,
            what=f"{_together(by_fraction)} on {counted(plan.gpus, 'GPU')}",
            why=f"{counted(fractions, 'GPU')} are promised",
            advice="fewer pods, or less each",
        )


def _together(asks: list[_Kai]) -> str:
    pods = sum(ask.workload.pods * ask.devices for ask in asks)
    return f"{asks[0].words} × {pods}" if len(asks) == 1 else f"KAI {asks[0].name} of {counted(pods, 'share')}"


def kai_unenforced(plan: Plan, _: Policy) -> Iterator[Found]:
    """A KAI fraction: the scheduler keeps account of it, and nobody enforces it, neither memory nor SMs.

    Source: KAI-Scheduler docs/gpu-sharing: it enforces no limit on memory and isolates nothing; issue 274: time goes by
    equal turns whatever the fraction.
    """
    for ask in _kai(plan):
        limited = any(
            name.startswith("nvidia.com/container.") and name.endswith(".limit") for name in ask.workload.annotations
        )
        if not limited:
            yield Found(
                where=ask.workload.where,
                what=f"{ask.workload.title}: {ask.words}",
                why="neither memory nor SMs: declared only, unless the cluster's gpuSharingMode is HamiCore or NvFractions",
                advice="an enforcing gpuSharingMode, MIG, or an SLO that tells who takes more",
            )


# --- HAMi and Volcano -------------------------------------------------------------------------------------------------


def _first(container: Container, names: tuple[str, ...]) -> tuple[str, int] | None:
    return next(((name, container.asks[name]) for name in names if name in container.asks), None)


def _gpus(container: Container) -> int:
    found = _first(container, _GPUS)
    return 1 if found is None else max(found[1], 1)


def hook_out_of_range(plan: Plan, _: Policy) -> Iterator[Found]:
    """More than 100 % of a GPU's cores or memory is asked for of HAMi or Volcano, or more memory than a GPU has.

    Source: HAMi pkg/device/nvidia/device.go: cores and percentages are of one GPU each.
    """
    largest = max((board.memory_mib for board in plan.boards), default=None)
    for workload, container in plan.containers():
        for names, most, of in (
            (_CORES, _WHOLE_PERCENT, "100 % of a GPU"),
            (_PERCENTAGES, _WHOLE_PERCENT, "100 % of a GPU"),
            (_MEMORIES, largest, f"{largest} MiB of the largest GPU here"),
        ):
            ask = _first(container, names)
            if ask is not None and most is not None and ask[1] > most:
                yield Found(
                    where=container.where,
                    what=f"{workload.title}/{container.name} asks for {ask[0]}={ask[1]}",
                    why=f"there is no more than {of}",
                    advice="amounts are of each GPU: for more, ask for more GPUs",
                )


def hook_above_node(plan: Plan, _: Policy) -> Iterator[Found]:
    """HAMi's or Volcano's cores or memory add up to more than the node's GPUs.

    Source: as hook-out-of-range. A deviceMemoryScaling above 1 lets more be promised than there is, which is the same.
    """
    if not plan.boards:
        return
    for names, has, unit in ((_CORES, plan.gpus * _WHOLE_PERCENT, "% of a GPU"), (_MEMORIES, plan.memory_mib, "MiB")):
        asks = [
            (workload.pods * ask[1] * _gpus(container), container.where)
            for workload, container in plan.containers()
            if (ask := _first(container, names)) is not None
        ]
        total = sum(amount for amount, _ in asks)
        if total > has:
            yield Found(
                where=asks[0][1],
                what=f"{names[0].rpartition('/')[2]} of {counted(len(asks), 'container')} on {counted(plan.gpus, 'GPU')}",
                why=f"{total} {unit} are promised, {has} are there",
                advice="fewer pods, or less each",
            )


def hook_switched_off(plan: Plan, _: Policy) -> Iterator[Found]:
    """A container switches its own limits off: nobody enforces what it asked for.

    Source: HAMi docs, container environment: CUDA_DISABLE_CONTROL=true leaves the hook out,
    GPU_CORE_UTILIZATION_POLICY=disable ignores the limit of cores.
    """
    for workload, container in plan.containers():
        if all(_first(container, names) is None for names in (_CORES, _MEMORIES, _PERCENTAGES)):
            continue
        if container.env.get(_SWITCH) == "true":
            off = f"{_SWITCH}=true leaves the hook out of the container: neither memory nor cores"
        elif _first(container, _CORES) and container.env.get(_POLICY, "").lower() == "disable":
            off = f"{_POLICY}=disable ignores the limit of cores"
        else:
            continue
        yield Found(
            where=container.where,
            what=f"{workload.title}/{container.name} asks for {_asked(container)}",
            why=off,
            advice="take the variable out; an admission policy can refuse it",
        )


def hook_conditional(plan: Plan, _: Policy) -> Iterator[Found]:
    """A share of cores under the default policy, which is not applied while the pod is alone on the GPU.

    Source: HAMi issue 737 and docs, GPU_CORE_UTILIZATION_POLICY: default, force, disable.
    """
    for workload, container in plan.containers():
        cores = _first(container, _CORES)
        policy = container.env.get(_POLICY, "default").lower()
        if cores and 0 < cores[1] < _WHOLE_PERCENT and policy == "default" and container.env.get(_SWITCH) != "true":
            yield Found(
                where=container.where,
                what=f"{workload.title}/{container.name} asks for {cores[0]}={cores[1]}, policy default",
                why="not applied while the pod is alone, and a throttle by feedback when it is not",
                advice=f"{_POLICY}=force where a benchmark must not depend on neighbours",
            )


def _asked(container: Container) -> str:
    found = (_first(container, names) for names in (_CORES, _MEMORIES, _PERCENTAGES))
    return ", ".join(f"{ask[0]}={ask[1]}" for ask in found if ask is not None)


RULES: tuple[Rule[Plan], ...] = (
    Rule("kai-out-of-range", Severity.IMPOSSIBLE, kai_out_of_range),
    Rule("kai-above-node", Severity.IMPOSSIBLE, kai_above_node),
    Rule("hook-out-of-range", Severity.IMPOSSIBLE, hook_out_of_range),
    Rule("hook-above-node", Severity.IMPOSSIBLE, hook_above_node),
    Rule("kai-unenforced", Severity.UNENFORCED, kai_unenforced),
    Rule("hook-switched-off", Severity.UNENFORCED, hook_switched_off),
    Rule("hook-conditional", Severity.CONDITIONAL, hook_conditional),
)
