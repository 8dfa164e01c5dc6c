"""The page at `/`: what this is, where its numbers are, and which of its sources answer."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from exporter import __version__

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:left}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}}"
)
_LINKS = (
    ("metrics", "what Prometheus scrapes"),
    ("snapshot", "the joined node as JSON"),
    ("-/healthy", "whether readings are still being made"),
    ("-/ready", "whether a first page exists"),
)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """One source: its name, whether it answers, and in words why not or since when."""

    name: str
    up: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What the landing page tells."""

    node: str
    sources: tuple[SourceHealth, ...] = ()


def render(about: About) -> str:
    """Return the page as HTML. Links are relative, so that it works behind a proxy's path."""
    links = "".join(f'<li><a href="{path}">/{path}</a>: {escape(meaning)}</li>' for path, meaning in _LINKS)
    rows = "".join(
        f"<tr><td>{escape(source.name)}</td><td>{'up' if source.up else 'down'}</td><td>{escape(source.detail)}</td></tr>"
        for source in about.sources
    )
    table = f"<h2>Sources</h2><table><tr><th>source</th><th>state</th><th></th></tr>{rows}</table>" if rows else ""
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>slicewatch on {escape(about.node)}</title><style>{_STYLE}</style></head><body>"
        f"<h1>slicewatch</h1><p>Is every GPU slice getting what it was promised?</p>"
        f"<p>Version {escape(__version__)} on node <strong>{escape(about.node)}</strong>.</p>"
        f"<ul>{links}</ul>{table}</body></html>\n"
    )
