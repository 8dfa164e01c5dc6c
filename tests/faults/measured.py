"""How long recoveries took: kept for `docs/reliability.md` when the suite is run by `make faults`, else thrown away."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.faults.table import Row

VARIABLE = "FAULTS_MEASURED"
"""The environment variable that names the folder for figures, one file a row, so that several workers can write."""


def note(row: Row, took: float, unit: str) -> None:
    """Note what a row's recovery took, in ticks of a second on the node's own clock, or in real seconds."""
    folder = os.environ.get(VARIABLE)
    if folder:
        name = "".join(letter if letter.isalnum() else "-" for letter in f"{row.part}-{row.fault}")
        text = json.dumps({"part": row.part, "fault": row.fault, "took": round(took, 2), "unit": unit})
        Path(folder, f"{name}.json").write_text(text, encoding="utf-8")
