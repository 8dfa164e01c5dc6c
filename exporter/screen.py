"""The node on one terminal screen: a table of every partition, GPU by GPU, and what is happening."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from exporter.explain import MODES, gibibytes, largest_first, percent, promise_sizes
from exporter.incidents import Happening, Incident, Story
from exporter.model import GpuState, Missing, Partition, Reading
from exporter.pipeline import Result
from exporter.verdict import Guarantee, Outcome, Verdict

_STYLES = {Outcome.KEPT: "green", Outcome.BROKEN: "bold white on red", Outcome.IDLE: "dim", Outcome.BLIND: "yellow"}
_KINDS = {"broken": "red", "alert": "bold white on red", "resolved": "green"}


def screen(result: Result, story: Story, past: deque[Happening], title: str) -> RenderableType:
    """Draw one tick."""
    return Group(_headline(result, story, title), partitions(result), _happenings(past), *_alerts(story))


def clock(seconds: float) -> str:
    """Seconds as minutes and seconds."""
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


def _headline(result: Result, story: Story, title: str) -> Text:
    snapshot = result.snapshot
    broken = len({key for key, _ in story.open})
    line = Text.assemble((title, "bold"), f"   node {snapshot.node}   {clock(snapshot.at)}   ")
    line.append(f"{len(snapshot.gpus)} GPUs, {len(snapshot.partitions)} partitions, ")
    line.append(f"{broken} with a broken guarantee", style="bold red" if broken else "green")
    return line


def partitions(result: Result) -> Table:
    """Every partition with its promise and what it gets, grouped by GPU."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("OWNER", no_wrap=True, overflow="ellipsis", min_width=24)
    table.add_column("MODE", no_wrap=True)
    table.add_column("PROMISED", no_wrap=True)
    table.add_column("KEPT BY", no_wrap=True)
    table.add_column("USES", justify="right", no_wrap=True)
    table.add_column("MEMORY", justify="right", no_wrap=True)
    table.add_column("GUARANTEES", no_wrap=True, overflow="ellipsis", min_width=24)
    snapshot = result.snapshot
    known = {state.gpu.uuid for state in snapshot.gpus}
    for state in sorted(snapshot.gpus, key=lambda s: s.gpu.index):
        _group(table, _gpu_heading(state), result, [p for p in snapshot.partitions if p.key.gpu == state.gpu.uuid])
    stray = [p for p in snapshot.partitions if p.key.gpu not in known]
    if stray:
        _group(table, (Text("no such GPU", style="bold"), Text("")), result, stray)
    return table


def _group(table: Table, heading: tuple[Text, Text], result: Result, found: Iterable[Partition]) -> None:
    table.add_row(heading[0], "", "", "", "", "", heading[1])
    for partition in found:
        keeper = partition.promise.compute or partition.promise.memory
        table.add_row(
            f"  {escape(partition.key.namespace)}/{escape(partition.key.pod)}",
            _mode(partition),
            " ".join(promise_sizes(partition)) or "nothing",
            "" if keeper is None else keeper.enforcer,
            _reading(partition.used_compute, percent),
            _reading(partition.used_memory_bytes, gibibytes),
            _guarantees(result.verdicts[partition.key]),
        )


def _mode(partition: Partition) -> str:
    profile = f" {partition.promised_profile}" if partition.promised_profile else ""
    slots = f" ×{partition.slots}" if partition.slots > 1 else ""
    return f"{MODES[partition.sharing]}{profile}{slots}"


def _gpu_heading(state: GpuState) -> tuple[Text, Text]:
    """Return the GPU's name, and how it is: clocks, power, and what holds it back."""
    gpu, use = state.gpu, state.use
    name = Text(f"GPU {gpu.index}  {gpu.model}", style="bold")
    if gpu.lost:
        return name, Text("LOST", style="bold white on red")
    how = Text(f"{_reading(use.power_watts, _watts)}  {_reading(use.sm_clock_hertz, _megahertz)}", style="dim")
    if not isinstance(use.throttle, Missing) and use.throttle:
        how.append(f"  {', '.join(sorted(use.throttle))}", style="not dim bold yellow")
    return name, how


def _watts(value: float) -> str:
    return f"{value:.0f} W"


def _megahertz(value: float) -> str:
    return f"{value / 1e6:.0f} MHz"


def _reading(value: Reading, words: Callable[[float], str]) -> str:
    return "?" if isinstance(value, Missing) else words(value)


def _guarantees(verdicts: Mapping[Guarantee, Verdict]) -> Text:
    """The worst answers in words; what is kept needs one word for all."""
    broken = [(g, v) for g, v in verdicts.items() if v.outcome is Outcome.BROKEN]
    if broken:
        words = ", ".join(
            f"{guarantee}: {next(iter(largest_first(verdict.loss)), '')}" for guarantee, verdict in broken
        )
        return Text(f"BROKEN {words}", style=_STYLES[Outcome.BROKEN])
    line = Text()
    if any(verdict.outcome is Outcome.KEPT for verdict in verdicts.values()):
        line.append("kept", style=_STYLES[Outcome.KEPT])
    for guarantee, verdict in verdicts.items():
        if verdict.outcome in {Outcome.BLIND, Outcome.IDLE}:
            words = "idle" if verdict.reason is None else f"blind: {verdict.reason}"
            line.append(f"{', ' if line else ''}{guarantee} {words}", style=_STYLES[verdict.outcome])
    return line


def happening(line: Happening) -> Text:
    """One line of the story."""
    words = {"broken": "BROKEN", "alert": "ALERT", "resolved": "resolved"}[line.kind]
    return Text.assemble(
        f"{clock(line.at)}  ",
        (words, _KINDS[line.kind]),
        f"  {line.key.namespace}/{line.key.pod}  {line.guarantee}: {line.text}",
    )


def _happenings(past: deque[Happening]) -> RenderableType:
    lines = [happening(line) for line in past] or [Text("nothing yet", style="dim")]
    return Panel(Group(*lines), title="what happened", title_align="left", border_style="dim")


def _alerts(story: Story) -> list[RenderableType]:
    return [
        Panel(alert(key.namespace, key.pod, guarantee, incident), title="ALERT", title_align="left", border_style="red")
        for (key, guarantee), incident in story.open.items()
        if incident.firing
    ]


def alert(namespace: str, pod: str, guarantee: Guarantee, incident: Incident) -> Text:
    """What a page about this incident says: who, promised what, since when, why, and what to run."""
    return Text.assemble(
        (f"{namespace}/{pod}: {guarantee} is broken since {clock(incident.since)}\n", "bold"),
        f"promised  {incident.promised}\n",
        f"why       {incident.text}\n",
        f"next      slicewatch why {namespace}/{pod}",
    )
