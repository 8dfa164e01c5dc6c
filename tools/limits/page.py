"""docs/limits.md: everything that slicewatch reads, how large and how late it may be, and the test that proves it.

The numbers are the code's own constants. `tests/docs/test_limits.py` holds the table to the code: each named test exists, and no
module reads from outside without a row here or a reason not to have one.
"""

from __future__ import annotations

from collections.abc import Mapping

from tools.limits.files import FILES
from tools.limits.network import NETWORK
from tools.limits.node import NODE
from tools.limits.outputs import OUTPUTS

INPUTS = (*NODE, *FILES, *NETWORK)

UNLISTED: Mapping[str, str] = {
    "exporter/selfmetrics.py": "this process's own entries of procfs",
    "slo/specfile.py": "the names of a folder's files; each is read by toolkit/yamlfile.py",
    "toolkit/command.py": "opens the null device, to write",
}
"""Modules that touch files and hold no input of their own, and why."""


def page() -> str:
    """Return the text of docs/limits.md."""
    lines = [
        "# Limits",
        "",
        "<!-- Generated from tools/limits; do not edit. -->",
        "",
        "Everything that slicewatch reads, who writes it, and how large and how late it may be. What is over its limit is refused,",
        "and costs that source, that tenant or that client alone. The numbers are the code's own; a test holds each row to the code",
        "and to the tests that are named. Who could want to overrun them, and what else they could do:",
        "[threat-model.md](threat-model.md).",
        "",
        "| input | written by | size | time | proven by |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| {i.name} | {i.written_by} | {i.size} | {i.time} | {_tests(i.tests)} |" for i in INPUTS]
    lines += [
        "",
        "## What tenants could make grow",
        "",
        "| output | bound | proven by |",
        "|---|---|---|",
        *(f"| {what} | {bound} | {_tests((test,))} |" for what, bound, test in OUTPUTS),
        "",
    ]
    return "\n".join(lines)


def _tests(tests: tuple[str, ...]) -> str:
    return "<br>".join(f"`{test.replace('::', '` `')}`" for test in tests)
