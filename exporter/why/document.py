"""The case file as JSON, for programs: every value of the case, and the answer made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from exporter.snapshot_json import plain
from exporter.why.advice import next_steps
from exporter.why.case import Case
from exporter.why.checks import checks
from exporter.why.finding import confidence, find
from exporter.why.verdict_text import sentence


def case_json(cases: Sequence[Case]) -> str:
    """Render cases, the worst first."""
    document = {"cases": [_document(case) for case in cases]}
    return json.dumps(document, ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _document(case: Case) -> dict[str, object]:
    finding = find(case)
    sure = confidence(case, finding)
    body = plain(case)
    return {
        "verdict": {
            "sentence": sentence(case, finding),
            "mood": finding.mood,
            "guarantee": finding.guarantee,
            "cause": finding.cause,
            "confidence": sure.level,
            "doubts": list(sure.doubts),
            "checks": plain(checks(case)),
            "next": next_steps(case, finding),
        },
        "case": body,
    }
