"""What tenants can make larger from within."""

from __future__ import annotations

from exporter import budget, labelvalue, ledger
from toolkit import logs

OUTPUTS: tuple[tuple[str, str, str], ...] = (
    (
        "a label value",
        f"{labelvalue.MAX_BYTES} bytes; longer ones are cut and end in a digest",
        "tests/page/test_labelvalue.py::test_a_label_is_bounded_and_of_characters_that_can_be_written",
    ),
    (
        "neighbours named for a guarantee of a partition",
        f"{ledger.MOST_NEIGHBOURS}, then `(others)`",
        "tests/judge/test_spending.py::test_a_neighbour_that_comes_after_many_is_counted_with_the_others_and_the_sum_holds",
    ),
    (
        "series of a page",
        f"`--web.series-limit`, {budget.DEFAULT:,}; then the youngest partitions stand back",
        "tests/page/test_budget.py::test_who_is_hidden_is_hidden_wholly_and_everybody_else_is_shown_wholly",
    ),
    (
        "a value of a log line",
        f"{logs._MAX_VALUE:,} characters, {logs._MAX_STACK:,} for a stack",
        "tests/config/test_logs.py::test_a_long_value_is_cut",
    ),
)
"""What tenants can make larger from within: what it is, its bound, the test."""
