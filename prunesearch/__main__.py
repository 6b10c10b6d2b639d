"""`python -m prunesearch` is the same program as `prunesearch`."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from prunesearch.cli.main import main

    sys.exit(main())
