"""The log: how fast it is, and whether that is enough; see `benchmarks.evidence`.

python benchmarks/audit.py [--quick] [--check] [--json FILE] [--folder DIR]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where this file would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.evidence import main

    sys.exit(main())
