"""Orchestration: a run of five steps, beside bare DBOS and LangGraph; see `benchmarks.stepping`.

python benchmarks/orchestration.py [--quick] [--check] [--json FILE] [--langgraph DIR]

LangGraph is no dependency of ours. It is measured where it has been installed for this alone:

python -m pip install --target build/langgraph langgraph langgraph-checkpoint-sqlite aiosqlite
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # A program's own folder comes first on the path, where `audit.py` would pass for the package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from benchmarks.stepping import main

    sys.exit(main())
