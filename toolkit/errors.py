"""What can go wrong, as a short tree; only the command line turns one of these into an exit status.

    SliceWatchError
    ├── ConfigError        usage or configuration: exit status 2
    └── UnreachableError   something that had to be asked could not be: exit status 3

Foreign exceptions are translated where they arise, in the adapter, with their cause chained.
"""

from __future__ import annotations

from toolkit.redact import redacted


class SliceWatchError(Exception):
    """The root: anything this program raises on purpose. Its message holds no credential."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redacted(message))


class ConfigError(SliceWatchError):
    """What the user asked for cannot be done as asked; the message says where and what was expected.

    `problems` holds one line for each fault, so that a file with three mistakes is mended in one go.
    """

    def __init__(self, *problems: str) -> None:
        self.problems = tuple(redacted(problem) for problem in problems)
        super().__init__("\n".join(self.problems))


class UnreachableError(SliceWatchError):
    """Something that had to be asked could not be reached, or did not answer as its protocol says."""
