"""The report of a run as text: the figures beside their goals, and where they come from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bench.truth.hearing import Case
from bench.truth.score import Part, Rates, Says, judged, part, plain, quantile, rates, share
from exporter.demand import Answer


def lines(cases: Sequence[Case]) -> Iterator[str]:
    """Yield the report, line by line."""
    broken = sum(case.truth.broken for case in cases)
    yield f"{len(cases):,} windows of tenants that wanted something, {broken:,} of them truly broken"
    yield ""
    yield from _main(cases)
    yield ""
    yield f"{'':38}{'precision':>10}{'recall':>8}{'P far':>8}{'R far':>8}{'blind':>8}{'cases':>8}"
    yield _row("the study's plain inversion", cases, plain)
    yield _row("the judge", cases, judged)
    for kind in ("backlogged", "closed", "open"):
        yield _row(f"  {kind}", [case for case in cases if case.kind == kind], judged)
    yield _row(
        "  closed, bursts of two turns or more", [c for c in cases if c.kind == "closed" and not c.short], judged
    )
    yield _row("  closed, shorter bursts", [c for c in cases if c.kind == "closed" and c.short], judged)
    yield _row("  all but closed, shorter bursts", [c for c in cases if c.kind != "closed" or not c.short], judged)
    yield _row("  somebody starts at 40 s", [case for case in cases if case.changing], judged)
    yield _row("  nobody does", [case for case in cases if not case.changing], judged)
    yield ""
    yield f"{'evidence that decided':38}{'kept':>8}{'right':>8}{'broken':>8}{'right':>8}{'R far*':>8}"
    for evidence in ("declared", "appetite", "queueing"):
        yield _evidence(evidence, cases)
    yield "* of the truly broken windows far from the threshold, the part found by this evidence"


def _main(cases: Sequence[Case]) -> Iterator[str]:
    far = [case for case in cases if case.far]
    breaches = [case for case in far if case.breach]
    times = [float("inf") if case.detected is None else case.detected for case in breaches]
    yield f"{'':52}{'measured':>10}{'95 % by world':>18}{'goal':>8}"
    yield _goal("precision of broken, far from the threshold", part(far, judged, _broken), 0.99)
    yield _goal("recall of broken, far from the threshold", part(far, _broken, judged), 0.95)
    yield _goal("precision of broken, over all", part(cases, judged, _broken), 0.95)
    yield _goal("recall of broken, over all", part(cases, _broken, judged))
    yield _goal("blind where the truth was far", part(far, _any, _blind), at_most=0.05)
    yield _goal("blind over all", part(cases, _any, _blind))
    yield _goal("main cause named", part(cases, lambda c: c.cause is not None, lambda c: bool(c.cause)), 0.95)
    yield _goal(
        "main neighbour named", part(cases, lambda c: c.neighbour is not None, lambda c: bool(c.neighbour)), 0.95
    )
    worst = max((case.imbalance for case in cases), default=0.0)
    yield _goal("worst imbalance of a loss, s/s", Part(worst), at_most=1e-6)
    yield _goal(f"median s from breach to broken ({len(times)})", Part(quantile(times, 0.5)), at_most=30.0)
    estimates = [case.estimate for case in cases if case.estimate is not None and case.truth.ratio < 1.0]
    told = " ".join(f"{_number(quantile(estimates, at))}" for at in (0.05, 0.5, 0.95))
    yield f"entitled, said over true, where delivered < entitled: p5 p50 p95 {told}"


def _any(_: Case) -> bool:
    return True


def _broken(case: Case) -> bool:
    return case.truth.broken


def _blind(case: Case) -> bool:
    return case.answer is Answer.BLIND


def _goal(name: str, found: Part, at_least: float | None = None, *, at_most: float | None = None) -> str:
    goal, met = "", ""
    if (bound := at_least if at_most is None else at_most) is not None:
        goal = f"{bound:g}"
        if found.value is not None:
            holds = found.value >= bound if at_most is None else found.value <= bound
            met = "met" if holds else "NOT MET"
    between = "" if found.low is None else f"{_number(found.low)} to {_number(found.high)}"
    return f"{name:52}{_number(found.value):>10}{between:>18}{goal:>8}  {met}".rstrip()


def _row(name: str, cases: Sequence[Case], says: Says) -> str:
    every, far = rates(cases, says), rates([case for case in cases if case.far], says)
    blind = share([case for case in cases if case.far], _blind) if says is judged else None
    return f"{name:38}{_pair(every, 10)}{_pair(far, 8)}{_number(blind):>8}{len(cases):>8,}"


def _pair(counted: Rates, width: int) -> str:
    return f"{_number(counted.precision):>{width}}{_number(counted.recall):>8}"


def _evidence(name: str, cases: Sequence[Case]) -> str:
    decided = [case for case in cases if case.evidence == name]
    kept = [case for case in decided if case.answer is Answer.KEPT]
    broken = [case for case in decided if case.answer is Answer.BROKEN]
    sought = [case for case in cases if case.far and case.truth.broken]
    found = share(sought, lambda case: case.evidence == name and case.answer is Answer.BROKEN)
    kept_right, broken_right = share(kept, lambda case: not case.truth.broken), share(broken, lambda c: c.truth.broken)
    return f"{name:38}{len(kept):>8,}{_number(kept_right):>8}{len(broken):>8,}{_number(broken_right):>8}{_number(found):>8}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if value == 0.0 or abs(value) >= 0.0005 else f"{value:.0e}"
