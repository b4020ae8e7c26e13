"""Flow: what provenance and labels add to a call; see `benchmarks.values`.

python benchmarks/flow.py [--quick] [--check] [--json FILE]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.values import main

    sys.exit(main())
