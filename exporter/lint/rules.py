"""`slicewatch lint`: promises that cannot be kept, and promises that nobody keeps.

Pure: a plan read from manifests, or a node read from its exporter, in; findings out. Each rule is one function beside its
kind, in a table with its name and severity; this module runs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from exporter.lint import access, fractions, live, mig, slots
from exporter.lint.model import Finding, LiveNode, Plan, Rule, Severity
from exporter.policy import Policy

T = TypeVar("T")

PLAN_RULES: tuple[Rule[Plan], ...] = (
    *slots.RULES,
    *mig.RULES,
    *fractions.RULES,
    *access.RULES,
)
"""Rules about manifests."""

NODE_RULES: tuple[Rule[LiveNode], ...] = live.RULES
"""Rules about a live node."""

RULE_NAMES = tuple(sorted([rule.name for rule in PLAN_RULES] + [rule.name for rule in NODE_RULES]))

_ORDER = {severity: position for position, severity in enumerate(Severity)}


def lint(subject: Plan | LiveNode, policy: Policy | None = None, ignore: Collection[str] = ()) -> tuple[Finding, ...]:
    """Run every rule that is not ignored by name; the worst findings come first, then in the order of the rules."""
    rules = Policy() if policy is None else policy
    if isinstance(subject, Plan):
        found = _run(PLAN_RULES, subject, rules, ignore)
    else:
        found = _run(NODE_RULES, subject, rules, ignore)
    return ordered(found)


def _run(rules: Iterable[Rule[T]], subject: T, policy: Policy, ignore: Collection[str]) -> Iterator[Finding]:
    for rule in rules:
        if rule.name not in ignore:
            for found in rule.find(subject, policy):
                yield Finding(rule=rule.name, severity=rule.severity, found=found)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Worst first; equal ones stay in their order, and what is found twice is told once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda finding: _ORDER[finding.severity]))


def counts(findings: Iterable[Finding]) -> dict[Severity, int]:
    """How many findings there are of each severity that occurs, worst first."""
    counted = Counter(finding.severity for finding in findings)
    return {severity: counted[severity] for severity in Severity if counted[severity]}


def holds(findings: Iterable[Finding]) -> bool:
    """Whether every promise can be kept and is kept by somebody: notes alone do not speak against it."""
    return all(finding.severity is Severity.NOTE for finding in findings)
