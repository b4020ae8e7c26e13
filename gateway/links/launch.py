"""Start a local server so that it ends with the gateway: `launch.py PARENT COMMAND...`.

A program of its own, between fork and the server: it arranges what outlasts `exec`, and then
becomes the server. Nothing of the gateway is imported, and nothing stays in memory.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NO_NEW_PRIVS = 38


def main(parent: int, command: list[str]) -> None:
    """Become `command`, killed when `parent` ends, unable to gain rights or to leave a core."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for option, value in ((_PR_SET_PDEATHSIG, signal.SIGKILL), (_PR_SET_NO_NEW_PRIVS, 1)):
            if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent:  # it ended before the signal was arranged
            return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execvp(command[0], command)  # noqa: S606 - no shell; the command is configuration


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[2]}: {error.strerror}")
