"""Node and GPU: every partition of a GPU, promise against delivery, and what the device itself does."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Dashboard, Row

from dashboards import house, surroundings
from dashboards.promql import Expr, above, by, combined, or_zero, rate, series
from dashboards.vocabulary import CAUSE_COLOURS, CLUSTER, P, gpus, on_nodes, state
from dashboards.vocabulary import info as partitions
from exporter.catalogue import (
    DELIVERED_COMPUTE,
    DEVICE_INFO,
    DEVICE_POWER,
    DEVICE_POWER_LIMIT,
    DEVICE_SM_CLOCK,
    DEVICE_SM_CLOCK_MAX,
    DEVICE_TEMPERATURE,
    DEVICE_THROTTLED,
    DEVICE_XID,
    ENTITLED_COMPUTE,
    LOST_SECONDS,
    LOST_TO_NEIGHBOUR,
    OBTAINABLE_MEMORY,
    PROMISED_COMPUTE,
    PROMISED_MEMORY,
    USED_COMPUTE,
    USED_MEMORY,
    Metric,
)

GPU = 'gpu=~"$gpu"'
NUMBERED = "{{node}} GPU {{index}}"


def dashboard() -> Dashboard:
    """Return it."""
    on_node = f'label_values({DEVICE_INFO.name}{{{CLUSTER}, node=~"$node", kind="gpu"}}, gpu)'
    found = house.board(
        "slicewatch / Node and GPU",
        "slicewatch-node",
        "Every partition of a GPU: what it was promised, what it gets, who its neighbours are, what the device does.",
        variables=(*surroundings.place(), house.choice("gpu", "GPU", on_node)),
    )
    found = found.annotation(surroundings.alerts()).annotation(surroundings.reshaped())
    for panel in _now():
        found = found.with_panel(panel)
    found = found.with_panel(_partitions()).with_panel(_lanes())
    found = found.with_row(Row("Promise against delivery, and who uses the device"))
    for line in (*_shares(), *_memory()):
        found = found.with_panel(line)
    found = found.with_row(Row("The device"))
    for line in _device():
        found = found.with_panel(line)
    return found


def _of(metric: Metric[tuple[str, ...]], *matchers: str) -> Expr:
    """A partition metric's series on the chosen GPUs, whosever they are: neighbours are what this page is about."""
    return by("max", series(metric, CLUSTER, GPU, *matchers), *P)


def _dev(metric: Metric[tuple[str, ...]], *matchers: str) -> Expr:
    return gpus(by("max", series(metric, CLUSTER, GPU, *matchers), "cluster", "gpu"))


def _now() -> list[house.Stat]:
    slowed = by(
        "count",
        above(by("sum", gpus(by("sum", rate(series(DEVICE_THROTTLED, CLUSTER, GPU)), "cluster", "gpu")), "gpu"), 0.05),
    )
    ratio = combined(_dev(DEVICE_SM_CLOCK), "/", _dev(DEVICE_SM_CLOCK_MAX))
    power = combined(_dev(DEVICE_POWER), "/", _dev(DEVICE_POWER_LIMIT))
    errors = by("sum", gpus(by("sum", series(DEVICE_XID, CLUSTER, GPU), "cluster", "gpu")))
    return [
        house.figure("Partitions", "Partitions on the chosen GPUs.", by("count", partitions(GPU)), "none"),
        house.figure(
            "Promised of each GPU",
            "The greatest sum of promised shares of one GPU. Above 100 % nobody can keep them all: `slicewatch lint`.",
            by("max", by("sum", on_nodes(_of(PROMISED_COMPUTE)), "gpu")),
            "percentunit",
            good=((None, "#0072b2"), (1.001, "#d55e00")),
        ),
        house.figure(
            "Slowed GPUs",
            "GPUs whose clocks the board or the driver holds down just now. The curve below says for what.",
            or_zero(slowed),
            "none",
            good=((None, "#0072b2"), (1, "#d55e00")),
        ),
        house.figure(
            "Slowest clock",
            "Of the greatest, on the slowest of the chosen GPUs; an idle GPU lowers its clock by itself.",
            by("min", ratio),
            "percentunit",
        ),
        house.figure("Power", "Of the limit, on the hungriest of the chosen GPUs.", by("max", power), "percentunit"),
        house.figure(
            "XID errors",
            "Since the exporter started. Any is worth a look at the kernel's log.",
            or_zero(errors),
            "none",
            good=((None, "#0072b2"), (1, "#d55e00")),
        ),
    ]


def _partitions() -> house.Table:
    fields = {
        "namespace": "Namespace",
        "pod": "Pod",
        "sharing": "Sharing",
        "Value #A": "Promised",
        "Value #B": "Entitled",
        "Value #C": "Delivered",
        "Value #D": "Used",
        "Value #E": "Memory",
        "Value #F": "Memory used",
        "node": "Node",
        "device": "Device",
    }
    metrics = (PROMISED_COMPUTE, ENTITLED_COMPUTE, DELIVERED_COMPUTE, USED_COMPUTE, PROMISED_MEMORY, USED_MEMORY)
    targets = [
        house.query(on_nodes(_of(metric), take=("node", "sharing")), ref=ref, rows=True)
        for metric, ref in zip(metrics, "ABCDEF", strict=True)
    ]
    ratios = dict.fromkeys(("Promised", "Entitled", "Delivered", "Used"), "percentunit")
    return house.rows(
        "Partitions of these GPUs",
        "Shares are of the whole GPU; memory is the promised one. Entitled is what its demand allows it now, delivered what it gets, "
        "used what its processes do. An empty field is not known, or not promised.",
        fields,
        *targets,
        units=ratios | {"Memory": "bytes", "Memory used": "bytes"},
        links={"Pod": surroundings.TENANT},
        sort="Promised",
        height=12,
    )


def _lanes() -> house.Lanes:
    lanes = on_nodes(by("max", state(GPU, 'guarantee="compute"', everybody=True), *P))
    return house.outcomes(
        "Compute, partition by partition",
        "What each partition was at each moment: kept, broken, idle (it wanted nothing) or blind (it cannot be told).",
        lanes,
        "{{namespace}}/{{pod}}",
        height=8,
    )


def _shares() -> list[house.Curve]:
    promised = house.query(on_nodes(_of(PROMISED_COMPUTE)), "{{pod}} promised")
    got = house.query(on_nodes(_of(DELIVERED_COMPUTE)), "{{pod}}", ref="B")
    return [
        house.dashed(
            house.curve(
                "Compute: promised and delivered",
                "Dashed is the promise; a line below it is a breach only where the partition wanted more (see the lanes above).",
                "percentunit",
                promised,
                got,
            ),
            " promised",
        ),
        house.curve(
            "Who uses the compute",
            "Shares of the GPU's time by partition. What one uses above its promise is another's if that one wants it.",
            "percentunit",
            house.query(on_nodes(_of(USED_COMPUTE)), "{{pod}}"),
            stacked=True,
        ),
        house.curve(
            "Lost, by cause",
            "Partitions' worth of promise that is lost on these GPUs, of all guarantees.",
            "none",
            house.query(by("sum", rate(series(LOST_SECONDS, CLUSTER, GPU)), "cause"), "{{cause}}"),
            colours=CAUSE_COLOURS,
            stacked=True,
        ),
        house.curve(
            "Taken by neighbours",
            "Partitions' worth of promise that each neighbour takes from the others.",
            "none",
            house.query(
                by("sum", rate(series(LOST_TO_NEIGHBOUR, CLUSTER, GPU)), "neighbour_namespace", "neighbour_pod"),
                "{{neighbour_namespace}}/{{neighbour_pod}}",
            ),
            stacked=True,
        ),
    ]


def _memory() -> list[house.Curve]:
    return [
        house.curve(
            "Memory used",
            "By partition, as the driver counts its processes.",
            "bytes",
            house.query(on_nodes(_of(USED_MEMORY)), "{{pod}}"),
            stacked=True,
        ),
        house.dashed(
            house.curve(
                "Memory: promised and obtainable",
                "Obtainable is what the partition has and what it could still get. Below the promise, the next allocation may fail.",
                "bytes",
                house.query(on_nodes(_of(PROMISED_MEMORY)), "{{pod}} promised"),
                house.query(on_nodes(_of(OBTAINABLE_MEMORY)), "{{pod}}", ref="B"),
            ),
            " promised",
        ),
    ]


def _device() -> list[house.Curve]:
    slowed = gpus(by("sum", rate(series(DEVICE_THROTTLED, CLUSTER, GPU)), "cluster", "gpu", "reason"))
    return [
        house.dashed(
            house.curve(
                "SM clock",
                "Dashed is the greatest. All instances of a GPU share its clock.",
                "hertz",
                house.query(_dev(DEVICE_SM_CLOCK_MAX), f"{NUMBERED} greatest"),
                house.query(_dev(DEVICE_SM_CLOCK), NUMBERED, ref="B"),
            ),
            " greatest",
        ),
        house.curve(
            "Held down, by reason",
            "The part of the time in which clocks are held down. `sw_power_cap` is power, `hw_thermal` and `sw_thermal` are heat.",
            "percentunit",
            house.query(above(slowed, 0), f"{NUMBERED} {{{{reason}}}}"),
        ),
        house.dashed(
            house.curve(
                "Power",
                "Dashed is the limit. All instances of a GPU share it.",
                "watt",
                house.query(_dev(DEVICE_POWER_LIMIT), f"{NUMBERED} limit"),
                house.query(_dev(DEVICE_POWER), NUMBERED, ref="B"),
            ),
            " limit",
        ),
        house.curve("Temperature", "Of the GPU's core.", "celsius", house.query(_dev(DEVICE_TEMPERATURE), NUMBERED)),
    ]
