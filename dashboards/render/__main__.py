"""Draw dashboards from the command line.

    python -m dashboards.render dashboards/json/fleet.json --prometheus http://127.0.0.1:9090 --from 1760005800 --to 1760013900

Writes NAME-THEME.png for each, and what each panel shows to standard output as JSON. Exit status: 0 drawn, 1 something is wrong with
a drawing (standard error says what), 2 usage, 3 a program is missing or failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from dashboards.render.browser import BrowserError
from dashboards.render.drawing import THEMES, Drawing, Wish, draw
from dashboards.render.programs import NotInstalledError
from dashboards.render.site import BuildError, build


def main(argv: Sequence[str]) -> int:
    """Draw; return the exit status."""
    options = _options().parse_args(argv)
    end = options.end or time.time()
    wishes = [
        Wish(
            dashboard=file.read_text(),
            png=options.out / f"{file.stem}-{theme}.png",
            start=options.start or end - 6 * 3600,
            end=end,
            theme=theme,
            variables=_variables(options.var),
            width=options.width,
            scrape=options.scrape,
        )
        for file in options.dashboard
        for theme in options.theme.split(",")
    ]
    try:
        drawings = draw(build(), options.prometheus, wishes)
    except (NotInstalledError, BuildError, BrowserError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's word
        return 3
    return _say(drawings)


def _say(drawings: Sequence[Drawing]) -> int:
    print(json.dumps([asdict(one) for one in drawings], indent=1, default=str, ensure_ascii=False))  # noqa: T201
    faults = [f"{one.png}: {fault}" for one in drawings for fault in one.faults]
    for fault in faults:
        print(fault, file=sys.stderr)  # noqa: T201
    return 1 if faults else 0


def _variables(given: Sequence[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in given:
        name, _, value = each.partition("=")
        found.setdefault(name, []).append(value)
    return found


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.render", description="Draw dashboards with @grafana/ui."
    )
    parser.add_argument("dashboard", nargs="+", type=Path, help="the dashboard's JSON")
    parser.add_argument("--prometheus", required=True, metavar="URL")
    parser.add_argument(
        "--from", dest="start", type=float, metavar="SECONDS", help="of the epoch; default: six hours before --to"
    )
    parser.add_argument("--to", dest="end", type=float, metavar="SECONDS", help="default: now")
    parser.add_argument("--theme", default=",".join(THEMES), help="light, dark, or both (the default)")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="may be given several times")
    parser.add_argument("--width", type=int, default=1600, metavar="PX")
    parser.add_argument(
        "--scrape", type=float, default=15.0, metavar="SECONDS", help="the data source's scrape interval"
    )
    parser.add_argument("--out", type=Path, default=Path("build/pictures"), metavar="FOLDER")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
