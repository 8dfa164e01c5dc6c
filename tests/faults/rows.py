"""All rows of the table, part by part."""

from __future__ import annotations

from tests.faults.rows_exporter import EXPORTER
from tests.faults.rows_live import LIVE
from tests.faults.rows_slo import SLO
from tests.faults.table import Part, Row

ROWS = tuple(sorted((*LIVE, *EXPORTER, *SLO), key=lambda row: list(Part).index(row.part)))
"""All of it, part by part."""


def by_name(part: Part, fault: str) -> Row:
    """Return a row. Raises KeyError when there is none."""
    return {(row.part, row.fault): row for row in ROWS}[part, fault]
