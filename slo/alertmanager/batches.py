"""A batch of alerts, and what to do when a peer refuses it for the sake of one of them. Pure but for the posting.

Alertmanager answers 400 when any alert of a batch is not valid, yet keeps the valid ones; when the JSON is not as it wants
it, it keeps none (api/v2, `postAlertsHandler`). The answer does not tell which of the two, nor whom it means: a refused batch
is sent again in halves until the refused alerts are alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from slo.alertmanager.notice import Entry


class Verdict(StrEnum):
    """What a peer made of a request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # 400 or 413: something in it is wrong, or it is too much at once
    FAILED = "failed"  # not taken for reasons that are not the alerts'


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's answer to one request; `why` is one line without secrets, empty when it was accepted."""

    verdict: Verdict
    why: str = ""


@dataclass(slots=True)
class Delivery:
    """What became of alerts: accepted, refused with why, and the failure after which no more was tried."""

    accepted: list[Entry] = field(default_factory=list)
    refused: list[tuple[Entry, str]] = field(default_factory=list)
    failure: str | None = None
    posts: int = 0


def deliver(
    entries: Sequence[Entry], post: Callable[[Sequence[Entry]], Reply], *, batch: int, most: int = 200
) -> Delivery:
    """Post alerts in batches of at most `batch`; halve what is refused. At most `most` requests.

    What was neither accepted nor refused when it returns is for the next round. Who keeps refused alerts out of the next
    round gets to the end of any number of them.
    """
    done = Delivery()
    waiting = [entries[at : at + batch] for at in range(0, len(entries), batch)][::-1]
    while waiting and done.posts < most:
        part = waiting.pop()
        reply = post(part)
        done.posts += 1
        if reply.verdict is Verdict.ACCEPTED:
            done.accepted.extend(part)
        elif reply.verdict is Verdict.FAILED:
            done.failure = reply.why
            break
        elif len(part) == 1:
            done.refused.append((part[0], reply.why))
        else:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
    return done
