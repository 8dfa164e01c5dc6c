"""History and journal on a disk that is really full: what they say, what is left, as JSON.

python -m tests.faults.full_disk FOLDER    the folder is small, and filled
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from slo.alertmanager.journal import Journal
from slo.embedded.store import ParquetHistory
from slo.run.judge import COUNTER
from tests.slo.alertmanager.test_journal import known
from tests.slo.embedded.test_embedded import AT, DAY, samples
from toolkit.errors import UnreachableError

MINUTE = 60
_MOST = 400
_PODS = {f"pod-{number}": float(number) for number in range(300)}


def main(folder: Path) -> None:
    """Write minutes until the disk is full, then the journal; make room, and go on."""
    ballast = folder / "ballast"
    ballast.write_bytes(b"x" * 65536)
    history, journal = ParquetHistory(folder / "h", DAY), Journal.open(folder / "j")
    journal.save(known("p"))
    kept, error = 0, ""
    while not error and kept < _MOST:
        try:
            history.append(AT + kept * MINUTE, samples(AT + kept * MINUTE, **_PODS))
            kept += 1
        except UnreachableError as refused:
            error = str(refused)
    journal.save(known(*(f"pod-{number}" for number in range(4000))))
    trouble = journal.trouble
    found = history.read(COUNTER, (), AT - 1, AT + _MOST * MINUTE)
    ballast.unlink()
    journal.save(known("p", "q"))
    told = {
        "error": error,
        "kept": kept,
        "read": len(set(found.frame["t"].to_list())),
        "drafts": len(list(folder.glob("h/*/*.new"))),
        "trouble": trouble,
        "after": journal.trouble,
    }
    sys.stdout.write(json.dumps(told))
    journal.close()
    history.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
