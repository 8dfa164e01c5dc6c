"""Go templates as Prometheus and vmalert expand them in labels and annotations, with everything foreign made harmless.

Tenants choose the names of pods, and an exporter may be anybody's: inside a query a label's value is a quoted string
(%q), in a text it loses all but the characters of Kubernetes names, in a link it is URL-encoded.
"""

from __future__ import annotations

from collections.abc import Iterable

MATCHERS = "MATCHERS"
"""Stands in an expression for the matchers of the alert's own labels."""

SAFE = 'reReplaceAll "[^A-Za-z0-9._-]" "_"'


def literal(text: str) -> str:
    """Return text that is to appear as it is, whatever braces it has."""
    return text.replace("{{", '{{ "{{" }}')


def label(name: str) -> str:
    """Write the value of one of the alert's labels, safe in a text and in a shell."""
    return f"{{{{ $labels.{name} | {SAFE} }}}}"


def encoded(name: str) -> str:
    """Write the value of one of the alert's labels as part of a URL's query."""
    return f"{{{{ $labels.{name} | urlquery }}}}"


def chosen(name: str, labels: Iterable[str]) -> str:
    """Write a variable of this name that holds matchers for the alert's own labels, to be used by `ask`."""
    wanted = tuple(labels)
    values = "".join(f" $labels.{label}" for label in wanted)
    return f"{{{{ ${name} := printf `{','.join(f'{label}=%q' for label in wanted)}`{values} }}}}"


def ask(expression: str, variable: str, found: str, missing: str) -> str:
    """Write a query and what it says: `found` with the result as the dot, or `missing` when it found nothing.

    Each MATCHERS in the expression is replaced by the variable's value. A query that fails is the ruler's error.
    """
    count = expression.count(MATCHERS)
    form = _string(expression.replace("%", "%%").replace(MATCHERS, "%s"))
    values = f" ${variable}" * count
    return f"{{{{ with query (printf {form}{values}) }}}}{found}{{{{ else }}}}{missing}{{{{ end }}}}"


def first(how: str) -> str:
    """Write the first value that a query found, through a function such as `humanizePercentage`."""
    return f"{{{{ . | first | value | {how} }}}}"


def first_labels(*names: str) -> str:
    """Write labels of the first series that a query found, joined by slashes."""
    return "/".join(f'{{{{ . | first | label "{name}" | {SAFE} }}}}' for name in names)


def _string(text: str) -> str:
    """Write a Go string: raw, which is readable, where it can be."""
    if "`" not in text and "\r" not in text:
        return f"`{text}`"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
