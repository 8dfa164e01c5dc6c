"""The `slicewatch` command; everything it does lives in `exporter.app` (and, later, in `slo.app`)."""

from __future__ import annotations

import os
import sys

from exporter.app import run


def main() -> int:
    """Run the command line; the exit status is the contract's: 0 as asked, 1 broken, 2 usage, 3 unreachable."""
    return run(sys.argv[1:], os.environ, sys.stdout, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
