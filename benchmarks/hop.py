"""The hop: how fast a process is that only passes calls on; see `benchmarks.ungoverned`.

python benchmarks/hop.py [--quick] [--check] [--json FILE]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.ungoverned import main

    sys.exit(main())
