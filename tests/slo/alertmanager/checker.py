"""A checker that can be killed: the sender in a process of its own, evaluating by whether a file is there.

    python -m tests.slo.alertmanager.checker FOLDER PEER...

While FOLDER/broken is there, its alert fires. Each round ends in FOLDER/rounds, one line each.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from slo.alertmanager.journal import Journal
from slo.alertmanager.peer import peer
from slo.alertmanager.sender import Sender
from slo.alertmanager.settings import Settings
from tests.slo.alertmanager.made import answers, firing, spec


def main(folder: Path, *urls: str) -> None:
    """Check four times a second, until killed."""
    settings = Settings(resend=1, lifetime=60, resolved_for=30, backoff=0.05, backoff_most=0.2, deadline=2.0)
    sender = Sender([peer(url) for url in urls], Journal.open(folder / "journal"), [spec()], settings)
    started = int(time.time())  # an evaluator that was started again thinks that it all began then
    while True:
        fires = (folder / "broken").exists()
        sender.sync([firing(since=started)] if fires else [], time.time(), answers=answers)
        with (folder / "rounds").open("a") as rounds:
            rounds.write(f"{int(fires)}\n")
        time.sleep(0.25)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
