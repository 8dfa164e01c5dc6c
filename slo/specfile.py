"""Objectives from YAML: `kind: PartitionSLO`, in the shape of OpenSLO, read strictly into a `PartitionSLO`.

Every fault of a file is told at once, each with file, line and column, and with what was expected. A file holds one SLO.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from exporter.catalogue import GUARANTEES
from slo import matchers
from slo.entity import NO_CLASS
from slo.spec import Alerting, Matcher, Objective, PartitionSLO, Severity, Sli, Subject
from slo.specfields import labels, pattern, read, site_label, text, url, words
from toolkit import yamlfile
from toolkit.errors import ConfigError
from toolkit.values import duration, duration_within
from toolkit.yamltree import Fields, Node, quoted

API_VERSION = "slicewatch/v1alpha1"
KIND = "PartitionSLO"
CLASSES = ("isolated", "hard_cap", "soft_cap", "declared", NO_CLASS)
DIMENSIONS = ("compute", "memory")

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
OBJECTIVE_NAME = re.compile(r"[A-Za-z0-9][\w .-]{0,62}", re.ASCII)
_ALLOW = {"availability": 0.05, "conformance": 0.1, "memory": 0.1, "compute": 0.25, "isolation": 0.1}
MOST_OBJECTIVES = 10
_DAY = 86400

NOTHING: tuple[Matcher, ...] = ()


def load(path: Path) -> PartitionSLO:
    """Read one file. Raises ConfigError with one line for each fault."""
    return _spec(yamlfile.read(path))


def parse(document: str, name: str = "slo.yaml") -> PartitionSLO:
    """Read from text; `name` stands in messages for the file. Raises ConfigError."""
    return _spec(yamlfile.load(name, document))


def load_all(paths: Sequence[Path]) -> tuple[PartitionSLO, ...]:
    """Read files, and every .yaml and .yml of folders; without any, the shipped ones. Raises ConfigError with all faults."""
    if not paths:
        return shipped()
    found: list[tuple[Path, PartitionSLO]] = []
    problems: list[str] = []
    for path in _files(paths):
        try:
            found.append((path, load(path)))
        except ConfigError as error:
            problems += error.problems
    first: dict[str, Path] = {}
    for path, spec in found:
        if spec.name in first:
            problems.append(
                f"{path}: the name {quoted(spec.name)} is that of {first[spec.name]}; expected one of its own"
            )
        first.setdefault(spec.name, path)
    if problems:
        raise ConfigError(*problems)
    return tuple(spec for _, spec in found)


def shipped() -> tuple[PartitionSLO, ...]:
    """Return the objectives that come with the program."""
    with as_file(files("slo") / "specs") as folder:
        return tuple(load(path) for path in sorted(folder.glob("*.yaml")))


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix in {".yaml", ".yml"})
            if not inside:
                raise ConfigError(f"{path}: no .yaml file is in it; expected PartitionSLO files")
            found += inside
        else:
            found.append(path)
    return found


def _spec(document: yamlfile.Document) -> PartitionSLO:
    top = document.root.mapping()
    for key, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        node = top.required(key)
        if node is not None:
            node.choice((expected,))
    name, display, own = _metadata(top.required("metadata"))
    node = top.required("spec")
    top.finish()
    spec = None if node is None else _body(node.mapping(), name, display, own)
    document.finish()
    if spec is None:  # a fault was noted, so finish has raised
        raise ConfigError(f"{document.root.mark}: nothing is in it")
    return spec


def _metadata(node: Node | None) -> tuple[str, str, dict[str, str]]:
    if node is None:
        return "", "", {}
    fields = node.mapping()
    name = text(fields.required("name"), pattern(NAME, "a name of lower-case letters, digits and dashes, at most 63"))
    display = text(fields.get("displayName"))
    found = labels(fields.get("labels"))
    fields.finish()
    return name, display, found


def _body(fields: Fields, name: str, display: str, own: dict[str, str]) -> PartitionSLO | None:
    description = text(fields.get("description"))
    group_by = tuple(words(fields.get("groupBy"), site_label))
    sli = _sli(fields)
    select = read(
        fields.get("select"), lambda node: node.parsed(lambda written: matchers.parse(written, group_by)), NOTHING
    )
    period = _period(fields.required("timeWindow"))
    method = fields.required("budgetingMethod")
    if method is not None:
        method.choice(("Timeslices",))
    objectives = _objectives(fields.required("objectives"))
    alerting = _alerting(fields.get("alerting"))
    fields.finish()
    if sli is None or not objectives:
        return None
    return PartitionSLO(
        name=name,
        display_name=display,
        description=description,
        labels=own,
        period=period,
        sli=sli,
        select=select,
        group_by=group_by,
        objectives=objectives,
        alerting=alerting,
    )


def _sli(fields: Fields) -> Sli | None:
    guarantee, coverage = fields.get("guarantee"), fields.get("coverage")
    node = guarantee or coverage
    if node is None:
        fields.required("guarantee")
        return None
    if guarantee is not None and coverage is not None:
        coverage.fail("guarantee and coverage are both written", "one of them")
    about = node.choice(GUARANTEES) or GUARANTEES[0]
    dimension = read(
        fields.get("dimension"), lambda one: one.choice(DIMENSIONS), "memory" if about == "memory" else "compute"
    )
    subject = Subject.GUARANTEE if guarantee is not None else Subject.COVERAGE
    default = _ALLOW[about] if subject is Subject.GUARANTEE else 0.5
    allow = read(fields.get("allow"), lambda one: one.number(minimum=0, maximum=0.99), default)
    wanted = fields.get("wanted")
    if wanted is not None and subject is Subject.COVERAGE:
        wanted.fail(
            "wanted is written for coverage", "it for a guarantee alone: every measured slice counts for coverage"
        )
    seconds = read(wanted, lambda one: one.parsed(duration_within("1ms", "1m")), 1.0)
    return Sli(subject=subject, guarantee=about, dimension=dimension, allow=allow, wanted=seconds)


def _period(node: Node | None) -> int:
    default = 30 * _DAY
    if node is None:
        return default
    windows = node.sequence()
    if len(windows) != 1:
        node.fail(f"{len(windows)} windows", "one")
        return default
    fields = windows[0].mapping()
    length = read(fields.required("duration"), lambda one: one.parsed(_whole_days), default)
    rolling = read(fields.get("isRolling"), lambda one: one.boolean(), True)  # noqa: FBT003  # the default
    fields.finish()
    if not rolling:
        windows[0].fail("a calendar window", "isRolling: true; budgets roll")
    return length


def _whole_days(text: str) -> int:
    seconds = duration(text)
    if seconds % _DAY or not _DAY <= seconds <= 90 * _DAY:
        raise ValueError("whole days from 1d to 90d, such as 30d or 4w")
    return int(seconds)


def _objectives(node: Node | None) -> tuple[Objective, ...]:
    items = () if node is None else node.sequence()
    if node is not None and not 1 <= len(items) <= MOST_OBJECTIVES:
        node.fail(f"{len(items)} objectives", f"1 to {MOST_OBJECTIVES}")
    found: list[Objective] = []
    for item in items[:MOST_OBJECTIVES]:
        one = _objective(item)
        if one is not None:
            _refuse_overlap(item, one, found)
            found.append(one)
    return tuple(found)


def _refuse_overlap(node: Node, one: Objective, before: Sequence[Objective]) -> None:
    for other in before:
        if other.name == one.name:
            node.fail(f"the displayName {quoted(one.name)} is written twice", "a name of its own")
        shared = sorted(set(one.classes) & set(other.classes))
        if shared:
            node.fail(f"the class {shared[0]} has an objective already, {quoted(other.name)}", "one objective a class")
        if not one.classes and not other.classes:
            node.fail("two objectives are for every class that no other names", "match: {class: […]}")


def _objective(node: Node) -> Objective | None:
    fields = node.mapping()
    name = text(
        fields.required("displayName"),
        pattern(OBJECTIVE_NAME, "a name of at most 63 letters"),
    )
    match = fields.get("match")
    classes: tuple[str, ...] = ()
    if match is not None:
        inner = match.mapping()
        classes = tuple(words(inner.required("class"), lambda item: item.choice(CLASSES)))
        inner.finish()
    target = _target(fields)
    fast, slow = _severities(fields.get("severity"))
    fields.finish()
    if target is None:
        return None
    return Objective(name=name, classes=classes, target=target, fast=fast, slow=slow)


def _target(fields: Fields) -> float | None:
    ratio, percent = fields.get("target"), fields.get("targetPercent")
    if ratio is None and percent is None:
        fields.required("target")
        return None
    if ratio is not None and percent is not None:
        percent.fail("target and targetPercent are both written", "one of them")
    if ratio is None:
        value = None if percent is None else percent.number(minimum=0, maximum=100)
        ratio, target = percent, None if value is None else round(value / 100, 9)
    else:
        target = ratio.number()
    if target is not None and ratio is not None and not 0 < target < 1:
        hint = f"; write {target / 100:g} for {target:g} %" if 1 < target < 100 else ""  # noqa: PLR2004  # percent
        ratio.fail(f"{target:g} is no target", f"a ratio above 0 and below 1{hint}")
        return None
    return target


def _severities(node: Node | None) -> tuple[Severity, Severity]:
    fast, slow = Severity.PAGE, Severity.TICKET
    if node is None:
        return fast, slow
    fields = node.mapping()
    words = [severity.value for severity in Severity]
    found = [
        Severity(read(fields.get(name), lambda one: one.choice(words), default.value))
        for name, default in (("fast", fast), ("slow", slow))
    ]
    fields.finish()
    return found[0], found[1]


def _alerting(node: Node | None) -> Alerting:
    if node is None:
        return Alerting()
    fields = node.mapping()
    default = Alerting()
    found = Alerting(
        min_bad_slices=read(
            fields.get("minBadSlices"), lambda one: one.integer(minimum=1, maximum=60), default.min_bad_slices
        ),
        keep_firing_for=int(
            read(
                fields.get("keepFiringFor"),
                lambda one: one.parsed(duration_within("0", "1d")),
                float(default.keep_firing_for),
            )
        ),
        runbook_url=text(fields.get("runbookUrl"), url),
        dashboard_url=text(fields.get("dashboardUrl"), url),
        labels=labels(fields.get("labels")),
    )
    fields.finish()
    return found
