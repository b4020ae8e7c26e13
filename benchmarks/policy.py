"""Decisions: how long one takes, and whether that is quick enough; see `benchmarks.decisions`.

python benchmarks/policy.py [--quick] [--check] [--json FILE]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.decisions import main

    sys.exit(main())
