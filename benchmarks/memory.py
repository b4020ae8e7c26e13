"""Memory: whether what is another's can be told from what is not there; see `benchmarks.probing`.

python benchmarks/memory.py [--quick] [--check] [--json FILE] [--folder DIR]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.probing import main

    sys.exit(main())
