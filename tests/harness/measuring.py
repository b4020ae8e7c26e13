"""Which tests are measured for branch coverage: being measured doubles what a test takes.

Tables of attacks that go one way again and again are not, nor are those that call a thousand times:
the lines on that way are reached by the tests beside them.
"""

import os
import re
from pathlib import Path

from coverage import Coverage

UNMEASURED = re.compile(r"benchmarks/|threats/test_t(04|06|11|12|1[5-9]|2[012356]|70)_")
"""How the paths of tests begin that are not measured."""

PROGRAMS = ("cli/", "examples/", "gateway/links/", "orchestration/test_workers.py")
"""Where programs that tests start are measured too: those of other tests are killed mostly."""

CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""What coverage has the programs look for in their environment that are started."""


class Measuring:
    """Goes on and off between tests, where this process is measured at all."""

    def __init__(self, tests: Path) -> None:
        self._tests = tests
        self._coverage = Coverage.current()
        self._children = os.environ.get(CHILDREN)
        self._on = True

    def stop(self) -> None:
        """Measure nothing more in this process."""
        if self._coverage is not None and self._on:
            self._coverage.stop()
            self._on = False

    def turn_to(self, file: Path) -> None:
        """Measure from here on what the tests of this file ask for."""
        if self._coverage is None:
            return
        place = file.relative_to(self._tests).as_posix()
        self._turn(on=UNMEASURED.match(place) is None)
        if self._children is not None and place.startswith(PROGRAMS):
            os.environ[CHILDREN] = self._children
        else:
            os.environ.pop(CHILDREN, None)

    def _turn(self, *, on: bool) -> None:
        assert self._coverage is not None
        if on and not self._on:
            self._coverage.start()
        elif self._on and not on:
            self._coverage.stop()
        self._on = on
