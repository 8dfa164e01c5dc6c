"""Once a round: what fires against what is known, the journal, and every peer told.

The order is what keeps a page from being lost or repeated by a `kill -9` at any moment: first the journal, then the peers,
then the journal again with what they took. Died before the first write, nothing was sent. Died after it, whoever comes next
sends it again, with the same labels and beginning, of which Alertmanager makes nothing new, or ends it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from slo.alertmanager import storm
from slo.alertmanager.answer import Answers, unknown
from slo.alertmanager.journal import Journal
from slo.alertmanager.lane import Lane, LaneState, PeerStatus, Work
from slo.alertmanager.notice import Accepted, Entry, Key, Known, Notice
from slo.alertmanager.peer import Peer
from slo.alertmanager.reconcile import reconcile
from slo.alertmanager.settings import Settings
from slo.alertmanager.texts import Texts, watchdog
from slo.spec import PartitionSLO
from slo.verdicts import AlertName, Firing
from toolkit.errors import UnreachableError
from toolkit.logs import Repeats, log

LOGGER = logging.getLogger("slo.alertmanager")


@dataclass(frozen=True, slots=True)
class Report:
    """What a round did. Alerts count once, whatever the number of peers."""

    sent: int  # taken by at least one peer since the last round's report
    failed: int  # nobody holds their newest state, and nobody refused them
    refused: tuple[Mapping[str, str], ...]  # label sets that some peer refused and none took
    active: int  # that fire, the watchdog not counted
    resolved: int  # that ended, and are still sent
    hidden: int  # not shown in a storm
    peers: tuple[PeerStatus, ...]
    journal: str | None = None  # what is wrong with it


@dataclass(frozen=True, slots=True)
class Counts:
    """Sums over all rounds, for metrics."""

    rounds: int = 0
    sent: int = 0
    failed: int = 0
    refused: int = 0
    journal_errors: int = 0


class Sender:
    """Keeps every Alertmanager told. For one thread; `close` it."""

    def __init__(
        self, peers: Sequence[Peer], journal: Journal, specs: Sequence[PartitionSLO], settings: Settings | None = None
    ) -> None:
        self._settings = settings or Settings()
        self._journal = journal
        self._texts = Texts(specs, self._settings.links)
        self._changed = threading.Condition(threading.RLock())
        known = journal.load()
        self._entries = dict(known.entries)
        unique = {peer.url: peer for peer in peers}
        self._lanes = {
            url: Lane(peer, known.accepted.get(url, {}), self._settings, self._changed) for url, peer in unique.items()
        }
        self._number = 0
        self._repeats = Repeats()
        self.counts = Counts()
        if journal.put_aside is not None:
            log(LOGGER, logging.ERROR, "The journal of alerts was damaged.", error=journal.put_aside)

    def sync(self, firing: Sequence[Firing], now: float, *, answers: Answers, hold: bool = False) -> Report:
        """Tell the peers what fires at `now` (Unix seconds). Waits for them for at most `patience` seconds.

        `answers` is asked for the alerts that are shown. With `hold` the evaluation was not complete: what is known to fire is
        kept alive, nothing ends, and the watchdog is not renewed, so that a checker that cannot check is noticed.
        """
        active = {key for key, entry in self._entries.items() if entry.active}
        labelled = [self._labelled(each) for each in firing if each.alert.name is not AlertName.WATCHDOG]
        chosen = storm.choose(labelled, active, self._settings.cap)
        notices = self._notices(chosen, now, answers)
        self._entries = reconcile(self._entries, notices, int(now), resolved_for=self._settings.resolved_for, hold=hold)
        self._save()
        states = self._tell(self._sent_now(hold=hold), now)
        self._save(states)
        return self._report(states, len(chosen.hidden), now)

    def close(self) -> None:
        """End the threads and let go of the journal. Nothing is resolved: whoever is started next goes on."""
        for lane in self._lanes.values():
            lane.close()
        end = time.monotonic() + self._settings.deadline
        for lane in self._lanes.values():
            lane.join(end - time.monotonic())
        self._save({url: lane.state() for url, lane in self._lanes.items()})
        self._journal.close()

    def _labelled(self, firing: Firing) -> Firing:
        labels = {**self._settings.labels, **firing.alert.labels}
        return replace(firing, alert=replace(firing.alert, labels=labels))

    def _notices(self, chosen: storm.Chosen, now: float, answers: Answers) -> list[Notice]:
        try:
            known = answers(chosen.shown, now) if chosen.shown else ()
        except UnreachableError as error:  # the page goes out all the same, and says what it does not know
            log(LOGGER, logging.WARNING, "Alerts go out without their answers.", error=str(error))
            notices = [self._unanswered(each, now) for each in chosen.shown]
        else:
            notices = [self._texts.notice(each, answer, now) for each, answer in zip(chosen.shown, known, strict=True)]
        notices += storm.notices(chosen.hidden, self._settings.labels, len(chosen.shown), int(now))
        if self._settings.watchdog:
            notices.append(watchdog(self._settings.labels, int(now), self._settings.links))
        return notices

    def _unanswered(self, firing: Firing, now: float) -> Notice:
        """An alert in the words that it had; a new one in those that need no answer."""
        notice = self._texts.notice(firing, unknown("nobody could be asked"), now)
        before = self._entries.get(notice.key)
        return notice if before is None or not before.active else replace(notice, annotations=before.annotations)

    def _sent_now(self, *, hold: bool) -> dict[Key, Entry]:
        """What the peers are told: new pages first. The watchdog never ends by our word, only by our silence."""
        own = {key: entry for key, entry in self._entries.items() if _is_watchdog(key)}
        rest = sorted(
            ((key, entry) for key, entry in self._entries.items() if key not in own),
            key=lambda pair: (not pair[1].active, dict(pair[0]).get("severity") != "page", -pair[1].starts_at),
        )
        return dict(rest) | ({} if hold else {key: entry for key, entry in own.items() if entry.active})

    def _tell(self, entries: Mapping[Key, Entry], now: float) -> dict[str, LaneState]:
        """Leave a round's alerts with the lanes, and wait until each is done or patience ends."""
        self._number += 1
        work = Work(self._number, entries, now, time.monotonic())
        with self._changed:
            for lane in self._lanes.values():
                lane.offer(work)
            self._changed.wait_for(
                lambda: all(lane.done >= work.number for lane in self._lanes.values()), self._settings.patience
            )
            return {url: lane.state() for url, lane in self._lanes.items()}

    def _save(self, states: Mapping[str, LaneState] | None = None) -> None:
        found = states or {url: lane.state() for url, lane in self._lanes.items()}
        accepted: dict[str, Mapping[Key, Accepted]] = {
            url: {key: taken for key, taken in state.accepted.items() if key in self._entries}
            for url, state in found.items()
        }
        self._journal.save(Known(self._entries, accepted))

    def _report(self, states: Mapping[str, LaneState], hidden: int, now: float) -> Report:
        shown = {key: entry for key, entry in self._entries.items() if not _is_watchdog(key)}
        taken_now = frozenset[Key]().union(*(lane.collect() for lane in self._lanes.values()))
        sent = failed = 0
        refused = {}
        for key, entry in shown.items():
            taken = [state.accepted[key] for state in states.values() if key in state.accepted]
            held = [each.at for each in taken if each.resolved is not entry.active]
            sent += key in taken_now
            if any(not entry.active or now - at < self._settings.lifetime for at in held):
                continue
            reasons = [state.refused[key] for state in states.values() if key in state.refused]
            if reasons:
                refused[key] = reasons[0]
            else:
                failed += 1
        self._log(states, now)
        counts = self.counts
        self.counts = Counts(
            counts.rounds + 1,
            counts.sent + sent,
            counts.failed + failed,
            counts.refused + len(refused),
            self._journal.errors,
        )
        active = sum(entry.active for entry in shown.values())
        return Report(
            sent,
            failed,
            tuple(dict(key) for key in refused),
            active,
            len(shown) - active,
            hidden,
            tuple(state.status for state in states.values()),
            self._journal.trouble,
        )

    def _log(self, states: Mapping[str, LaneState], now: float) -> None:
        for url, state in states.items():
            for key, why in state.refused.items():
                if self._repeats.admit(f"refused {url} {key}", why, now) is not None:
                    log(LOGGER, logging.ERROR, "Alertmanager refuses an alert.", peer=url, alert=dict(key), why=why)
            status = state.status
            said = status.error or "up"
            if status.up is not None and self._repeats.admit(f"peer {url}", said, now) is not None:
                level = logging.INFO if status.up else logging.WARNING
                log(
                    LOGGER,
                    level,
                    "Alertmanager answers." if status.up else "Alertmanager is not told.",
                    peer=url,
                    error=said,
                )
        trouble = self._journal.trouble
        if self._repeats.admit("journal", trouble or "", now) is not None and trouble is not None:
            log(LOGGER, logging.ERROR, "The journal of alerts cannot be written.", error=trouble)


def _is_watchdog(key: Key) -> bool:
    return ("alertname", str(AlertName.WATCHDOG)) in key
