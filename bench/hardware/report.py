"""The report: everything that was found as JSON, and the same for a person as Markdown. Every table names its run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.hardware.context import Run

Found = Mapping[str, Any]


def write(run: Run) -> None:
    """Write report.json and report.md into the output folder."""
    found = {"run": run.id, "gpu": run.gpu, **run.found}
    (run.output / "report.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (run.output / "report.md").write_text(markdown(found), encoding="utf-8")


def markdown(found: Found) -> str:
    """Return the report as Markdown; pure."""
    parts = (_head, _steps, _calls, _smi, _contention, _others, _doubts, _duty, _turns, _open, _overhead)
    return "\n".join(line for part in parts for line in part(found)) + "\n"


def score(found: Found) -> dict[str, int]:
    """Count the compute verdicts: right, wrong, and near the threshold, where either answer is fair."""
    counts = {"right": 0, "wrong": 0, "near": 0, "blind": 0}
    for row in _tenants(found):
        counts[_grade(row)] += 1
    return counts


def _grade(row: Mapping[str, Any]) -> str:
    outcome = row["said"]["outcome"] if row["said"] else ""
    if outcome == row["expected"]["outcome"]:
        return "right"
    if outcome == "blind":
        return "blind"
    return "near" if row["near"] else "wrong"


def _tenants(found: Found) -> list[Mapping[str, Any]]:
    return [row for one in found.get("contention", ()) for row in one["rows"] if row["holds"]]


def _head(found: Found) -> list[str]:
    about = {**found.get("environment", {}), **found.get("read", {}).get("board", {})}
    rows = [[name, json.dumps(value) if isinstance(value, list) else str(value)] for name, value in about.items()]
    rate = found.get("calibrate", {}).get("rounds_per_second")
    if rate:
        rows.append(["rounds of work a second, alone", ", ".join(f"{value:,.0f}" for value in rate)])
    return [f"# Hardware run {found['run']}", "", *_table(("", ""), rows)]


def _steps(found: Found) -> list[str]:
    rows = [[row["step"], f"{row['seconds']:.1f}", row["status"], row["why"]] for row in found.get("steps", ())]
    return _section(found, "Steps", "Seconds of each, and how it ended.", ("step", "seconds", "ended", "why"), rows)


def _calls(found: Found) -> list[str]:
    if "calls" not in found:
        return []
    loaded = found["calls"].get("busy")  # not where nobody could contend
    busy = {} if loaded is None else {row["call"]: row for row in (*loaded["calls"], loaded["whole"])}
    rows = []
    for row in (*found["calls"]["idle"]["calls"], found["calls"]["idle"]["whole"]):
        under = busy.get(row["call"])
        rows.append(
            [
                f"`{row['call']}`",
                ", ".join(f"{code} × {count}" for code, count in row["codes"].items()),
                _us(row["p50_us"]),
                _us(row["p99_us"]),
                _us(None if under is None else under["p50_us"]),
                _us(None if under is None else under["p99_us"]),
                row["answer"],
            ]
        )
    extras = [
        [str(row["field"]), row["name"], str(row["code"]), str(row.get("value", "–")), _us(row["us"])]
        for row in found["calls"]["idle"]["extras"]
    ]
    heads = ("call", "return codes", "p50 µs", "p99 µs", "busy p50", "busy p99", "last answer")
    what = "Every call that the driver's source makes; at rest, and while a tenant keeps the device busy."
    lines = _section(found, "Calls", what, heads, rows)
    return lines + _section(
        found, "Field values", "Not read by the source.", ("field", "what", "code", "value", "µs"), extras
    )


def _smi(found: Found) -> list[str]:
    if "read" not in found:
        return []
    read = found["read"]
    rows = [
        [row["field"], _text(row["nvidia_smi"]), _text(row["slicewatch"]), _yes(row["agrees"])] for row in read["smi"]
    ]
    what = f"`exporter --once` ended with {read['once']}, `doctor` with {read['doctor']}. {read.get('smi_missing', '')}"
    return _section(found, "Beside nvidia-smi", what.strip(), ("field", "nvidia-smi", "slicewatch", "agrees"), rows)


def _contention(found: Found) -> list[str]:
    rows = []
    for row in _tenants(found):
        said, expected = row["said"] or {}, row["expected"]
        rows.append(
            [
                row["scenario"],
                row["tenant"],
                _n(row["promised"]),
                _n(row["true_share"]),
                _n(row["sampled_share"]),
                _n(row["entitled"]),
                _n(said.get("entitled")),
                _n(said.get("delivered")),
                _words(expected),
                _words(said),
                said.get("evidence", ""),
                _grade(row),
            ]
        )
    counts = score(found)
    heads = (
        *("scenario", "tenant", "promised", "true share", "as sampled", "entitled", "as judged", "delivered as judged"),
        *("truth", "said", "by", ""),
    )
    what = f"Compute: {', '.join(f'{count} {word}' for word, count in counts.items())}. {_distance(found)}"
    return _section(found, "The judge", what, heads, rows) if rows else []


def _distance(found: Found) -> str:
    """How far shares of the device are from the tenants' own measure, on average, on shared devices."""
    told = [row for row in _tenants(found) if row["promised"] < 1.0 and row["true_share"] > 0.0]
    sampled = [abs(row["sampled_share"] - row["true_share"]) for row in told if row["sampled_share"] is not None]
    judged = [
        abs(row["said"]["delivered"] - row["true_share"])
        for row in told
        if row["said"] and row["said"]["delivered"] is not None
    ]
    parts = [
        f"{name} {sum(values) / len(values):.3f}"
        for name, values in (("as sampled", sampled), ("as judged", judged))
        if values
    ]
    return f"Mean distance of a share from the tenant's own measure: {', '.join(parts)}." if parts else ""


def _others(found: Found) -> list[str]:
    rows = [
        [
            row["scenario"],
            row["tenant"],
            other["guarantee"],
            _words(other["expected"]),
            _words(other["said"] or {}),
        ]
        for row in _tenants(found)
        for other in row["others"]
    ]
    heads = ("scenario", "tenant", "guarantee", "truth", "said")
    return _section(found, "Other guarantees", "Where a scenario was made for one.", heads, rows) if rows else []


def _doubts(found: Found) -> list[str]:
    rows = [
        [
            one["scenario"],
            ", ".join(f"{name} {count:g}" for name, count in one["doubts"].items()) or "none",
            _n(one["watch"]["clock_min"]),
            _n(one["watch"]["power_p50_w"]),
            ", ".join(f"{name} {_n(part)}" for name, part in one["watch"]["reasons"].items() if part) or "none",
        ]
        for one in found.get("contention", ())
    ]
    heads = ("scenario", "not believed or not placed", "lowest clock MHz", "power W", "clock reasons, part of the time")
    return _section(found, "Beside the verdicts", "What may explain them.", heads, rows) if rows else []


def _duty(found: Found) -> list[str]:
    if "duty" not in found:
        return []
    rows = [
        [
            row["load"],
            _n(row["truth"]),
            _n(row["utilisation"]),
            _n(row["samples"]),
            _n(row["gpm_graphics"]),
            _n(row["gpm_sm"]),
            f"{_n(row['clock_min'])}–{_n(row['clock_max'])}",
            ", ".join(row["reasons"]),
        ]
        for row in found["duty"]["rows"]
    ]
    heads = ("load", "truth", "utilisation %", "samples", "GPM graphics %", "GPM SM %", "clock MHz", "reasons")
    return _section(found, "One tenant, known loads", "Every signal of how busy the device is.", heads, rows)


def _turns(found: Found) -> list[str]:
    if "turns" not in found:
        return []
    rows = [
        [
            name,
            str(row["jumps"]),
            _n(row["away_part"]),
            *(_n(row[which][part]) for which in ("away_ms", "own_ms") for part in ("p10", "p50", "p90")),
        ]
        for name, row in found["turns"].items()
    ]
    heads = ("kernel", "turns away", "part", "away p10 ms", "p50", "p90", "own p10 ms", "p50", "p90")
    return _section(found, "Turns", "Jumps of the device's clock, seen from a kernel of one thread.", heads, rows)


def _open(found: Found) -> list[str]:
    rows = [[row["question"], row["how"], row["state"], row["answer"]] for row in found.get("open_points", ())]
    heads = ("question", "how", "state", "answer")
    return _section(found, "Open points", "What this run says of each.", heads, rows)


def _overhead(found: Found) -> list[str]:
    if "overhead" not in found:
        return []
    told = found["overhead"]["kernels_per_second"]
    base = sum(told["without"]) / len(told["without"])
    rows = [
        [name, ", ".join(f"{rate:.1f}" for rate in rates), _change(sum(rates) / len(rates), base)]
        for name, rates in told.items()
    ]
    heads = ("exporter", "kernels a second, each time", "against without")
    return _section(found, "Overhead", "One tenant that always wants, alone.", heads, rows)


def _section(found: Found, title: str, what: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return ["", f"## {title}", "", f"{what} Run {found['run']}.", "", *_table(heads, rows)]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return lines + [f"| {' | '.join(map(_cell, row))} |" for row in rows]


def _cell(text: str) -> str:
    return " / ".join(text.splitlines()).replace("|", r"\|")


def _words(told: Mapping[str, Any]) -> str:
    who = told.get("neighbour") or told.get("cause") or ""
    outcome = told.get("outcome") or "nothing"
    return f"{outcome}: {who}" if who and outcome == "broken" else str(outcome)


def _n(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def _us(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"


def _text(value: object) -> str:
    return "–" if value is None else str(value)


def _yes(value: bool | None) -> str:  # noqa: FBT001  # it is the datum, not a flag
    return "–" if value is None else "yes" if value else "**no**"


def _change(value: float, base: float) -> str:
    return f"{value / base - 1:+.2%}" if base else "–"
