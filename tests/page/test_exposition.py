"""The page's writer: what it refuses, what it escapes, and that the client library reads it as it was meant."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import catalogue as c
from exporter.exposition import Distribution, Foreign, Writer, distributions, family
from exporter.labelvalue import bounded

P = c.PartitionKey("GPU-1", "GPU-1", "team", "pod", "main")
TICKS = Distribution((0.1, 1.0), (1, 3, 4), 2.5)


def text(*families: object) -> str:
    return Writer().render(families).text.decode()  # type: ignore[arg-type]


def test_a_gauge_has_its_help_its_type_and_its_labels_in_order() -> None:
    assert text(family(c.PROMISED_COMPUTE, [(P, 0.25)])).splitlines()[1:] == [
        "# TYPE gpu_partition_promised_compute_ratio gauge",
        'gpu_partition_promised_compute_ratio{gpu="GPU-1",device="GPU-1",namespace="team",pod="pod",container="main"} 0.25',
    ]


def test_a_reserved_word_is_a_label_under_its_own_name() -> None:
    info = c.PromiseInfoKey(*P, "compute", "isolated", "hardware", "resource_name")
    device = c.DeviceInfoKey("GPU-1", "GPU-1", "n", "0", "m", "gpu", "", "", "", "580")
    page = text(family(c.PROMISE_INFO, [(info, 1.0)]), family(c.DEVICE_INFO, [(device, 1.0)]))
    assert 'class="isolated"' in page
    assert 'index="0"' in page


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="left out"):
        text(family(c.PROMISED_COMPUTE, [(P, value)]))


def test_the_same_series_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        text(family(c.PROMISED_COMPUTE, [(P, 0.25), (P, 0.5)]))


def test_the_same_family_twice_is_refused() -> None:
    rows = family(c.PROMISED_COMPUTE, [(P, 0.25)])
    with pytest.raises(ValueError, match="twice"):
        text(rows, rows)


def test_a_metric_that_is_not_in_the_catalogue_is_refused() -> None:
    made_up = c.Metric("gpu_made_up", c.Kind.GAUGE, c.GpuKey, "Made up.")
    with pytest.raises(ValueError, match="catalogue"):
        text(family(made_up, [(c.GpuKey("GPU-1"), 1.0)]))


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match="PartitionKey"):
        text(family(c.PROMISED_COMPUTE, [(c.GpuKey("GPU-1"), 1.0)]))


def test_a_family_without_rows_is_not_on_the_page() -> None:
    assert text(family(c.PROMISED_COMPUTE, [])) == ""


def test_a_line_that_has_not_changed_is_taken_over_and_one_that_has_is_not() -> None:
    writer = Writer()
    other = P._replace(pod="other")
    writer.render([family(c.PROMISED_COMPUTE, [(P, 0.25), (other, 0.5)])])
    page = writer.render([family(c.PROMISED_COMPUTE, [(P, 0.75), (other, 0.5)])]).text.decode()
    assert " 0.75\n" in page
    assert " 0.25\n" not in page
    gone = writer.render([family(c.PROMISED_COMPUTE, [(other, 0.5)])]).text.decode()
    assert 'pod="pod"' not in gone


def test_a_histogram_has_cumulative_buckets_a_count_and_a_sum() -> None:
    assert text(distributions(c.TICK_DURATION, [(c.NoKey(), TICKS)])).splitlines()[2:] == [
        'slicewatch_tick_duration_seconds_bucket{le="0.1"} 1.0',
        'slicewatch_tick_duration_seconds_bucket{le="1.0"} 3.0',
        'slicewatch_tick_duration_seconds_bucket{le="+Inf"} 4.0',
        "slicewatch_tick_duration_seconds_count 4.0",
        "slicewatch_tick_duration_seconds_sum 2.5",
    ]


def test_openmetrics_names_a_counters_family_without_total_and_ends_the_page() -> None:
    page = Writer().render([family(c.PARTITION_ENERGY, [(P, 1.0)])]).openmetrics.decode()
    assert "# TYPE gpu_partition_energy_joules counter\n" in page
    assert "gpu_partition_energy_joules_total{" in page
    assert page.endswith("\n# EOF\n")


def test_a_family_of_the_client_library_stands_at_the_end() -> None:
    foreign = Foreign("process_cpu_seconds", "counter", "CPU.", ("process_cpu_seconds_total 1.5",))
    rendered = Writer().render([], [foreign])
    assert rendered.text.decode().splitlines()[1:] == [
        "# TYPE process_cpu_seconds_total counter",
        "process_cpu_seconds_total 1.5",
    ]
    assert rendered.series == 1


KEYS = st.builds(c.PartitionKey, *[st.text(max_size=12) for _ in c.PartitionKey._fields])


@given(st.dictionaries(KEYS, st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_whatever_a_label_holds_the_client_library_reads_it_back(rows: dict[c.PartitionKey, float]) -> None:
    clean = {c.PartitionKey(*(bounded(part) for part in key)): value for key, value in rows.items()}
    page = Writer().render([family(c.PROMISED_MEMORY, list(rows.items()))])
    assert len(clean) == len(rows)
    for read in (parse_text(page.text.decode()), parse_openmetrics(page.openmetrics.decode())):
        (found,) = list(read)
        assert {c.PartitionKey(**s.labels): s.value for s in found.samples} == clean


def oracle(*metrics: Metric) -> CollectorRegistry:
    class Fixed:
        def collect(self) -> list[Metric]:
            return list(metrics)

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Fixed())
    return registry


def test_the_page_is_what_the_client_library_would_have_written() -> None:
    gauge = GaugeMetricFamily(c.PROMISED_COMPUTE.name, c.PROMISED_COMPUTE.help, labels=c.PROMISED_COMPUTE.label_names)
    gauge.add_metric(P, 0.25)
    counter = CounterMetricFamily(
        c.PARTITION_ENERGY.name, c.PARTITION_ENERGY.help, labels=c.PARTITION_ENERGY.label_names
    )
    counter.add_metric(P, 12.5)
    histogram = HistogramMetricFamily(c.TICK_DURATION.name, c.TICK_DURATION.help)
    histogram.add_metric([], [("0.1", 1), ("1.0", 3), ("+Inf", 4)], 2.5)
    ours = Writer().render(
        [
            family(c.PROMISED_COMPUTE, [(P, 0.25)]),
            family(c.PARTITION_ENERGY, [(P, 12.5)]),
            distributions(c.TICK_DURATION, [(c.NoKey(), TICKS)]),
        ]
    )
    registry = oracle(gauge, counter, histogram)
    assert labels_in_any_order(ours.text) == labels_in_any_order(generate_latest(registry))
    assert labels_in_any_order(ours.openmetrics) == labels_in_any_order(generate_openmetrics(registry))


def labels_in_any_order(page: bytes) -> list[str]:
    """The library sorts labels by name; the contract's order is the key's."""
    lines = []
    for line in page.decode().splitlines():
        name, brace, rest = line.partition("{")
        inner, end, value = rest.rpartition("}")
        lines.append(
            name + brace + ",".join(sorted(inner.split(","))) + end + value if brace and line[0] != "#" else line
        )
    return lines
