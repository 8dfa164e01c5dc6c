"""The questions that nobody could answer without a board, and what this run says of each: settled, recorded, or neither. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

Found = Mapping[str, Any]


class State(StrEnum):
    """How far a question has come."""

    SETTLED = "settled on this board"
    RECORDED = "recorded, to be read by a person"
    OPEN = "not settled here"


@dataclass(frozen=True, slots=True)
class Answer:
    """What one run says."""

    state: State
    text: str


@dataclass(frozen=True, slots=True)
class Point:
    """One question: how it is measured, and the function that answers it from what the run found."""

    question: str
    how: str
    answer: Callable[[Found], Answer]


def answers(found: Found) -> list[dict[str, str]]:
    """Answer every question; one that cannot be answered from what was found says why."""
    rows = []
    for point in POINTS:
        try:
            answer = point.answer(found)
        except (ArithmeticError, LookupError, TypeError, StopIteration):
            answer = Answer(State.OPEN, "the step that measures it did not end well, or its readings are missing")
        rows.append({"question": point.question, "how": point.how, "state": answer.state.value, "answer": answer.text})
    return rows


def _rows(found: Found, scenario: str) -> dict[str, Any]:
    one = next(row for row in found["contention"] if row["scenario"] == scenario)
    return {row["tenant"]: row for row in one["rows"]}


def _watch(found: Found, scenario: str) -> Mapping[str, Any]:
    watch: Mapping[str, Any] = next(row for row in found["contention"] if row["scenario"] == scenario)["watch"]
    return watch


def _duty(found: Found, load: str) -> Mapping[str, Any]:
    row: Mapping[str, Any] = next(row for row in found["duty"]["rows"] if row["load"] == load)
    return row


# --- one function a question ------------------------------------------------------------------------------------------


def _gpm(found: Found) -> Answer:
    parts = [
        f"{row['load']}: true {_n(row['truth'])}, utilisation {_percent(row['utilisation'])}, samples {_n(row['samples'])},"
        f" GPM graphics {_percent(row['gpm_graphics'])}, GPM SMs {_percent(row['gpm_sm'])}"
        for row in found["duty"]["rows"]
    ]
    if all(row["gpm_graphics"] is None for row in found["duty"]["rows"]):
        code = found["duty"]["rows"][0]["gpm_refused"]
        return Answer(State.SETTLED, f"no GPM here (return code {code}); " + "; ".join(parts))
    return Answer(State.RECORDED, "; ".join(parts))


def _turns_by(found: Found) -> Answer:
    rows = _rows(found, "crowd")
    one, three = rows["one"]["true_share"], rows["three"]["true_share"]
    ratio = three / one
    text = f"one process {one:.3f} of the device, three of one pod {three:.3f}: {ratio:.2f} to 1"
    if 2.4 <= ratio <= 3.6:
        return Answer(State.SETTLED, f"by process: {text}")
    if 0.8 <= ratio <= 1.25:
        return Answer(State.SETTLED, f"not by process (the three together get as much as the one): {text}")
    return Answer(State.RECORDED, text)


def _streams(found: Found) -> Answer:
    rows = _rows(found, "streams")
    one, four = rows["single"]["true_share"], rows["manifold"]["true_share"]
    ratio = four / one
    text = f"one stream {one:.3f}, four streams {four:.3f}: {ratio:.2f} to 1"
    if 0.8 <= ratio <= 1.25:
        return Answer(State.SETTLED, f"by process, whatever its streams: {text}")
    if ratio >= 2.4:
        return Answer(State.SETTLED, f"by stream (channel): {text}")
    return Answer(State.RECORDED, text)


def _turn_length(found: Found) -> Answer:
    beside, alone = found["turns"]["beside a hog"], found["turns"]["alone"]
    text = (
        f"away {_n(beside['away_ms']['p10'])} / {_n(beside['away_ms']['p50'])} / {_n(beside['away_ms']['p90'])} ms"
        f" (p10, p50, p90), own turns {_n(beside['own_ms']['p10'])} / {_n(beside['own_ms']['p50'])} /"
        f" {_n(beside['own_ms']['p90'])} ms, {beside['jumps']} turns; away {_n(beside['away_part'])} of the time;"
        f" alone: {alone['jumps']} jumps"
    )
    return Answer(State.SETTLED if beside["jumps"] > 10 * max(1, alone["jumps"]) else State.RECORDED, text)


def _long_kernels(found: Found) -> Answer:
    rows = _rows(found, "long-kernels")
    short, long = rows["short"], rows["long"]
    text = (
        f"kernels of 2 ms {short['true_share']:.3f} of the device, of 50 ms {long['true_share']:.3f};"
        f" as sampled {_n(short['sampled_share'])} and {_n(long['sampled_share'])}"
    )
    even = 0.8 <= long["true_share"] / short["true_share"] <= 1.25
    return Answer(State.SETTLED, f"{'interrupted at turns' if even else 'not shared evenly'}: {text}")


def _samples(found: Found) -> Answer:
    watch = _watch(found, "equals")
    if watch["samples_refused"] is not None:
        return Answer(State.SETTLED, f"per-process samples are refused here (return code {watch['samples_refused']})")
    rows = _rows(found, "equals").values()
    sums = sum(row["sampled_share"] or 0.0 for row in rows), sum(row["true_share"] for row in rows)
    return Answer(
        State.RECORDED,
        f"a new sample every {_n(watch['sample_period_p50'])} s (p90 {_n(watch['sample_period_p90'])} s),"
        f" {_n(watch['sample_age_p50'])} s old when read; two equal tenants sum to {_n(sums[0])} as sampled,"
        f" {_n(sums[1])} by their own measure",
    )


def _throttle(found: Found) -> Answer:
    """A counter of held-down time cannot grow faster than the clock: by how much faster tells its unit."""
    bits = {"74": "sw_power_cap", "269": "sw_thermal", "270": "hw_thermal", "271": "hw_power_brake", "76": "sync_boost"}
    told, sure = [], ""
    for one in found["contention"]:
        for number, (grown, seconds) in one["watch"]["counters"].items():
            part = one["watch"]["reasons"].get(bits.get(number, ""))
            rate = grown / seconds
            if rate > 1.05e6:
                sure = "nanoseconds: it grew faster than microseconds can"
            elif part is not None and part > 0.9 and 0.8e6 < rate <= 1.05e6:
                sure = "microseconds: it grew by a million a second while the reason was always set"
            if grown:
                told.append(
                    f"field {number} {rate:,.0f} a second, reason set {_n(part)} of the time ({one['scenario']})"
                )
    if sure:
        return Answer(State.SETTLED, f"{sure}; " + "; ".join(told))
    return Answer(State.OPEN, "; ".join(told) or "nothing held the clocks down, and no counter grew")


def _cost(found: Found) -> Answer:
    parts = []
    for name, told in found["calls"].items():
        rows = sorted(told["calls"], key=lambda row: -row["p50_us"])[:3]
        whole = told["whole"]
        dear = ", ".join(f"{row['call']} {row['p50_us'] / 1000:.2f}" for row in rows)
        parts.append(f"{name}: a reading {whole['p50_us'] / 1000:.1f} ms (p99 {whole['p99_us'] / 1000:.1f}); {dear} ms")
    return Answer(State.SETTLED, "; ".join(parts))


def _clocks(found: Found) -> Answer:
    loads = ("at rest", "one percent", "a quarter", "all of it")
    parts = [
        f"{load}: {_n(row['clock_min'])} to {_n(row['clock_max'])} MHz, reasons {', '.join(row['reasons']) or 'unknown'}"
        for load in loads
        for row in (_duty(found, load),)
    ]
    return Answer(State.SETTLED, "; ".join(parts))


def _memory(found: Found) -> Answer:
    told = list(found["calls"].values())
    readings, refused = sum(row["readings"] for row in told), sum(row["memory_refused"] for row in told)
    return Answer(State.RECORDED, f"{refused} of {readings} readings had no memory, GPM sampled in each")


def _privilege(found: Found) -> Answer:
    uid = found["environment"]["uid"]
    gpm = _duty(found, "all of it")["gpm_graphics"]
    if uid == 0:
        return Answer(State.OPEN, "this run was root's; run it as another user")
    return Answer(State.SETTLED, f"uid {uid}: GPM {'answers' if gpm is not None else 'does not answer'}")


def _switches(found: Found) -> Answer:
    parts = [
        f"{row['load']}: requests {_n(row['gpm_switch_requests'])}, active {_n(row['gpm_switch_active'])} %"
        for row in found["duty"]["rows"]
    ]
    return Answer(State.RECORDED, "metrics 172 and 174, one tenant: " + "; ".join(parts))


def _remapped(found: Found) -> Answer:
    rows = [row for row in found["calls"]["idle"]["extras"] if 142 <= row["field"] <= 145]
    said = ", ".join(f"{row['field']}: code {row['code']}" for row in rows)
    return Answer(State.OPEN, f"MIG mode is off here, where they answer: {said}")


def _mps(found: Found) -> Answer:
    rows = _rows(found, "mps").values()
    parts = [f"{row['tenant']}: sampled {_n(row['sampled_share'])}, true {row['true_share']:.3f}" for row in rows]
    return Answer(State.RECORDED, "; ".join(parts))


def _pids(found: Found) -> Answer:
    one = next(row for row in found["contention"] if row["scenario"] == "equals")
    if not one["listed"]:
        return Answer(State.SETTLED, "the driver does not list the tenants' processes here")
    strangers = one["watch"]["sampled_unlisted"]
    text = "the same as here" if one["same_pids"] else "of another pid namespace"
    samples = f"samples are of pids that are not listed: {strangers}" if strangers else "samples are of listed pids"
    return Answer(State.SETTLED, f"{text}; {samples}")


def _standing(found: Found) -> Answer:
    counts = [one["doubts"].get("engine_idle_utilisation_high", 0.0) for one in found["contention"]]
    text = f"{sum(counts):.0f} ticks in {len(counts)} scenarios"
    return Answer(State.SETTLED if sum(counts) else State.RECORDED, text)


def _needs_mig(found: Found) -> Answer:
    del found
    return Answer(State.OPEN, "needs a board in MIG mode, which this kit does not switch on")


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f} %"


POINTS: Final = (
    Point("does GPM say what utilisation says, and what is true", "one tenant, known parts of the time", _gpm),
    Point("do turns go by process or by pod", "one process against three of one pod", _turns_by),
    Point("do turns go by process or by stream", "one stream against four, two processes", _streams),
    Point("how long is a turn", "jumps of the device's clock, seen from a kernel", _turn_length),
    Point("is a long kernel interrupted, and are samples right then", "kernels of 2 and of 50 ms", _long_kernels),
    Point("how often are per-process samples taken, and how old are they", "time stamps of the samples", _samples),
    Point("the unit of the throttle time counters", "counters against sampled reasons, under load", _throttle),
    Point("what a call costs", "every call timed, at rest and under load", _cost),
    Point("what clocks do at rest, under light and under full load", "clock and reasons, ten times a second", _clocks),
    Point("does GPM sampling disturb memory queries", "both in every reading", _memory),
    Point("does GPM work without privilege", "the same, as another user than root", _privilege),
    Point("what GPM's context switch metrics say", "metrics 172 and 174 under each load", _switches),
    Point("do row remapping fields answer under MIG", "field values 142 to 145", _remapped),
    Point("what samples say of MPS clients", "two clients, 30 and 70 % of the threads", _mps),
    Point("does GPM's engine activity stand still on a working GPU", "ticks that were not believed for it", _standing),
    Point("whose pids the driver lists", "the tenants' own pids against the list", _pids),
    Point("are GPM's ratios of a GPU instance relative to it", "a full load in one instance", _needs_mig),
    Point("PCIe and video engines for an instance", "a copy load in one instance", _needs_mig),
    Point("is a MIG UUID stable over re-creation", "destroy and create", _needs_mig),
    Point("profiles of other boards", "the driver's catalogue on each", _needs_mig),
)
