"""A process that appends until it ends: `appender.py FOLDER CALLERS`.

Each receipt is written to standard output, in one write, as soon as it is held; a refusal as
`refused <code>`. A line `limit BYTES` on standard input sets the largest file size, 0 lifts it.
"""

import asyncio
import os
import resource
import sys
from pathlib import Path

from audit.entry import Record
from audit.errors import AuditUnavailable
from audit.log import Log
from tests.audit.stored_logs import SIGNER


async def main(folder: Path, callers: int) -> None:
    log = Log.open(folder, signer=SIGNER, segment_bytes=1 << 20)
    asyncio.get_running_loop().add_reader(0, obey)
    await asyncio.gather(*[keep_appending(log, caller) for caller in range(callers)])


async def keep_appending(log: Log, caller: int) -> None:
    number = 0
    while True:
        number += 1
        pad = "x" * (number * 97 % 1500)
        record = Record(log.new_id(), "test", {"caller": caller, "number": number, "pad": pad})
        try:
            say(str(await log.append(record)))
        except AuditUnavailable as error:
            say(f"refused {error.code}")
            await asyncio.sleep(0.01)


def say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def obey() -> None:
    word, _, count = os.read(0, 100).decode().partition(" ")
    if not word:
        sys.exit()  # whoever started this is gone
    assert word == "limit"
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(count) or most, most))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
