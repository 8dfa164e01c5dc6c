"""What others do with the same history, each on as much of it as it can bear: their rates are multiplied up in the table."""

from __future__ import annotations

import subprocess
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

from exporter.catalogue import GUARANTEE_SECONDS
from slo.burnrate import thresholds
from slo.prometheus import PrometheusStore
from slo.spec import SLICE, PartitionSLO

CHUNK = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Rate:
    """Rows of history, the seconds until they were there, and those until they were verdicts (None: it gives none)."""

    rows: int
    fetched: float
    judged: float | None = None
    bad: int = 0  # bad slices found, the check that all did the same


def by_pandas(url: str, namespace: str, spec: PartitionSLO, start: int, end: int) -> Rate:
    """prometheus-api-client with its data frame, then pandas: minutes, slices, and the windows of every burn."""
    begun = time.perf_counter()
    client = PrometheusConnect(url=url, disable_ssl=True)
    asked = {"namespace": namespace, "guarantee": spec.sli.guarantee}
    ends = (datetime.fromtimestamp(at, UTC) for at in (start, end))
    data = client.get_metric_range_data(GUARANTEE_SECONDS.name, asked, *ends, chunk_size=CHUNK)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own use of pandas is of an older one
        frame = MetricRangeDataFrame(data)
    fetched = time.perf_counter() - begun
    wide = frame.reset_index().pivot_table(index="timestamp", columns=["outcome", "device"], values="value")
    spent = wide.resample(f"{SLICE}s", closed="right", label="right").last().diff()
    whole = spent["broken"] + spent["kept"]
    bad = ((spent["broken"] > spec.sli.allow * whole) & (whole >= spec.sli.wanted)).astype("int64")
    held = 0
    for objective in spec.objectives:
        for pair in thresholds(spec, objective):
            long, short = (
                bad.rolling(each // SLICE, min_periods=1).sum() for each in (pair.burn.long, pair.burn.short)
            )
            held += int(((long > pair.long_above) & (short > pair.short_above)).to_numpy().sum())
    return Rate(len(frame), fetched, time.perf_counter() - begun, int(bad.to_numpy().sum()))


def by_promtool(url: str, namespace: str, spec: PartitionSLO, start: int, end: int, step: int) -> Rate:
    """`promtool query range` at the scrapes' interval: text, which is not even parsed here."""
    expression = f'{GUARANTEE_SECONDS.name}{{namespace="{namespace}",guarantee="{spec.sli.guarantee}"}}'
    command = [
        "promtool",
        "query",
        "range",
        f"--start={start + step}",
        f"--end={end}",
        f"--step={step}s",
        url,
        expression,
    ]
    begun = time.perf_counter()
    said = subprocess.run(command, check=True, capture_output=True).stdout
    taken = time.perf_counter() - begun
    return Rate(said.count(b"@["), taken)


def by_query(store: PrometheusStore, pods: list[str], spec: PartitionSLO, end: int) -> float:
    """Return the seconds for each partition as slo-generator asks: two queries for each window, as of one minute only."""
    windows = sorted(
        {each for pair in thresholds(spec, spec.objectives[0]) for each in (pair.burn.long, pair.burn.short)}
    )
    begun = time.perf_counter()
    for pod in pods:
        named = f'{GUARANTEE_SECONDS.name}{{pod="{pod}",guarantee="{spec.sli.guarantee}"'
        for window in windows:
            for outcomes in ("broken", "kept|broken"):
                store.query(f'sum(increase({named},outcome=~"{outcomes}"}}[{window}s]))', end)
    return (time.perf_counter() - begun) / len(pods)
