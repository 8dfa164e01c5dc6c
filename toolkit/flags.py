"""Flags in the Prometheus exporters' style."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from toolkit.errors import ConfigError
from toolkit.yamltree import quoted, suggestion


class FlagParser(argparse.ArgumentParser):
    """Argparse in the Prometheus style: no abbreviations, and a fault is a ConfigError in one line, not an exit."""

    def __init__(self, prog: str | None = None, description: str | None = None, **others: Any) -> None:
        super().__init__(prog, description=description, **{**others, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        """Raise ConfigError."""
        raise ConfigError(message)

    def parse(self, argv: Sequence[str]) -> argparse.Namespace:
        """Parse all of `argv`. Raises ConfigError; `--help` writes the help and raises SystemExit(0)."""
        namespace, rest = self.parse_known_args(list(argv))
        flags = [word.partition("=")[0] for word in rest if word.startswith("-")]
        known = [name for action in self._actions for name in action.option_strings]
        if flags:
            raise ConfigError(*(f"unknown flag {flag}{suggestion(flag, known)}" for flag in flags))
        if rest:
            raise ConfigError(*(f"unexpected argument {quoted(word)}" for word in rest))
        return namespace
