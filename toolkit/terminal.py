"""Writing a screen: in colour and as wide as the terminal, or plain, of one width and without trailing blanks."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console, RenderableType

_WIDEST = 160
_NARROWEST = 100


def show(drawn: RenderableType, stdout: TextIO, environ: Mapping[str, str], width: int) -> None:
    """Write a screen; `width` is that of plain output. `NO_COLOR` in the environment means no colour."""
    if stdout.isatty():
        console = Console(file=stdout, no_color="NO_COLOR" in environ, highlight=False)
        console.width = min(_WIDEST, max(_NARROWEST, console.width))
        console.print(drawn, markup=False)
        return
    buffer = io.StringIO()
    Console(file=buffer, width=width, no_color=True, highlight=False, force_terminal=False).print(drawn, markup=False)
    stdout.writelines(f"{line.rstrip()}\n" for line in buffer.getvalue().splitlines())
