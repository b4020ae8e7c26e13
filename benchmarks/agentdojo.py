"""Attacks by a compromised agent, replayed; see `benchmarks.compromised`.

python benchmarks/agentdojo.py [DATA ...] [--pack FILE] [--labels DIR]
                               [--quick] [--check] [--json FILE]
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.compromised import main

    sys.exit(main())
