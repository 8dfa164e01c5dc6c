"""What can go wrong, as a short tree; only `app` turns one of these into an exit status.

    SliceWatchError
    ├── ConfigError      usage or configuration: exit status 2
    └── SourceError      a source could not be read: exit status 3
        └── its `reason` says which kind of refusal it was

Foreign exceptions are translated where they arise, in the adapter, with their cause chained.
"""

from __future__ import annotations

from exporter.model import Reason


class SliceWatchError(Exception):
    """The root: anything this program raises on purpose."""


class ConfigError(SliceWatchError):
    """What the user asked for cannot be done as asked; the message says where and what was expected.

    `problems` holds one line for each fault, so that a file with three mistakes is mended in one go.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class SourceError(SliceWatchError):
    """A source could not be read; `reason` is what every value that hangs on it is missing for."""

    def __init__(self, message: str, reason: Reason = Reason.ERROR) -> None:
        super().__init__(message)
        self.reason = reason
