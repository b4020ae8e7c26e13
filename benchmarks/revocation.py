"""Revocation: how long until a right is gone everywhere; see `benchmarks.withdrawal`.

python benchmarks/revocation.py [--quick] [--check] [--json FILE] [--folder DIR]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.withdrawal import main

    sys.exit(main())
