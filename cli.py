"""The door for a checkout: `python cli.py search quickstart` is the same program as `prunesearch search quickstart`."""

import sys

if __name__ == "__main__":
    from prunesearch.cli.main import main

    sys.exit(main())
