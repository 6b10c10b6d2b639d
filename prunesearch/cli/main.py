"""The door of the program: `main` runs one command line and returns its exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line.

    Workers of a search import the module that started it, so nothing is imported before it is needed.

    Args:
        argv: arguments without the program's name; those of the process when left out.

    Returns:
        0 done, 1 a bug, 2 usage, 3 bad or unknown definition, 4 store, 5 nothing feasible, 6 environment, 130 Ctrl-C,
        143 SIGTERM, 141 the reader of our output went away.
    """
    from prunesearch.cli.boundary import guarded

    return guarded(list(sys.argv[1:] if argv is None else argv))


if __name__ == "__main__":
    sys.exit(main())
