"""From a window of one holder to kept, broken, idle or blind: the evidences one after the other, strongest first.

Pure. A wrong `broken` is the worst error: an evidence that leaves room for a tenant that got all it wanted does not say it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from exporter.demand import DEMAND_UNKNOWN, Answer, Bounds, DemandPolicy, Evidence
from exporter.demand_appetite import appetite
from exporter.demand_inference import inferred
from exporter.demand_window import Level, Means
from exporter.model import Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer for one holder; `settled` when evidence decided, and not only leaned."""

    answer: Answer
    evidence: Evidence = Evidence.NONE
    reason: str | None = None
    entitled: Bounds | None = None
    delivered: float | None = None
    settled: bool = True
    likely_broken: bool = False

    def leaning(self, before: Answer) -> Verdict:
        """Stay with an earlier answer inside the error bar, unless the likelier side is the other one."""
        if before is Answer.BROKEN and not self.likely_broken:
            return self
        if before in {Answer.KEPT, Answer.BROKEN} and self.entitled is not None:
            return replace(self, answer=before, reason=None, evidence=Evidence.QUEUEING)
        return self


ALWAYS = 0.9
"""A backlog declared for this part of the window is one."""

SELDOM = 0.5
"""A workload that declares no backlog for this part of the window keeps up with its arrivals."""

_SAME = 0.97
"""A share that is less than this part of another has fallen."""

_SAMPLING = 0.03
"""What whole percents of a part of each second leave open of a window's share, relative to it."""


def decide(window: Means, levels: tuple[Level, ...], promise: float, policy: DemandPolicy, unplaced: float) -> Verdict:
    """Answer from a holder's window and its remembered appetite; `unplaced` use may be its own as well."""
    share = window.share
    if share < policy.least_share:
        return Verdict(Answer.IDLE)
    if window.seconds < policy.least_seconds:
        return Verdict(Answer.BLIND, reason=Reason.NOT_YET, settled=False)
    threshold = 1 - policy.tolerance
    if window.backlog is not None and (said := _declared(window.backlog, share, unplaced, promise, threshold)):
        return said
    if share >= threshold * promise:
        likely = min(promise, inferred(window, None, promise, policy).likely)
        return Verdict(Answer.KEPT, Evidence.QUEUEING, None, Bounds(min(share, likely), likely, promise), share)
    remembered = appetite(window, levels, promise)
    entitled = inferred(window, remembered, promise, policy)
    if remembered is not None and _content(remembered, entitled, share, threshold):
        return Verdict(Answer.KEPT, Evidence.APPETITE, None, remembered, share)
    if remembered is not None and share + unplaced < (threshold - policy.appetite_margin) * remembered.low:
        return Verdict(Answer.BROKEN, Evidence.APPETITE, None, remembered, share)
    return _queueing(window, entitled, unplaced, policy)


def or_untold(verdict: Verdict, unplaced: Means | None, policy: DemandPolicy) -> Verdict:
    """A holder that seems to use nothing need not be idle while something works here that cannot be placed: it may be its own.

    A pod that has just begun is unplaced for a second or two, which must not make its neighbours blind for a window.
    """
    if verdict.answer is not Answer.IDLE or unplaced is None:
        return verdict
    if unplaced.seconds < policy.least_seconds or unplaced.share < policy.least_share:
        return verdict
    return Verdict(Answer.BLIND, reason=Reason.AMBIGUOUS, settled=False)


def _content(remembered: Bounds, inferred_now: Bounds, share: float, threshold: float) -> bool:
    """Whether it gets what it took when less stood in its way; a tenth less only if the shares of now agree."""
    if share >= _SAME * remembered.high:
        return True
    return share >= threshold * remembered.high and share >= threshold * inferred_now.likely


def _declared(backlog: float, share: float, unplaced: float, promise: float, threshold: float) -> Verdict | None:
    """The workload's own word: waiting all the time is wanting the whole promise, mostly not waiting is being content."""
    if backlog >= ALWAYS:
        whole = Bounds(promise, promise, promise)
        if share >= threshold * promise:
            return Verdict(Answer.KEPT, Evidence.DECLARED, None, whole, share)
        if share + unplaced < (threshold - _SAMPLING) * promise:
            return Verdict(Answer.BROKEN, Evidence.DECLARED, None, whole, share)
        return Verdict(Answer.BLIND, Evidence.DECLARED, DEMAND_UNKNOWN, whole, share, False, True)  # noqa: FBT003
    if backlog <= SELDOM:
        enough = min(share, promise)
        return Verdict(Answer.KEPT, Evidence.DECLARED, None, Bounds(enough, enough, promise), share)
    return None


def _queueing(window: Means, entitled: Bounds, unplaced: float, policy: DemandPolicy) -> Verdict:
    """Decide outside the error bar; inside it say which side is the likelier."""
    threshold, share = 1 - policy.tolerance, window.share
    if share >= threshold * entitled.high:
        return Verdict(Answer.KEPT, Evidence.QUEUEING, None, entitled, share)
    if share < policy.least_told:
        return Verdict(Answer.BLIND, Evidence.NONE, DEMAND_UNKNOWN, entitled, share, settled=False)
    if share + unplaced < threshold * entitled.low:
        return Verdict(Answer.BROKEN, Evidence.QUEUEING, None, entitled, share)
    likely_broken = share < threshold * entitled.likely
    return Verdict(Answer.BLIND, Evidence.NONE, DEMAND_UNKNOWN, entitled, share, False, likely_broken)  # noqa: FBT003
