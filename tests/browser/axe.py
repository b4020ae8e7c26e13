"""What axe-core finds wrong on a page for people who see, hear or move differently.

`axe/axe.min.js` is as it was published (axe-core 4.14.1 on npm, MPL-2.0): its hash is checked.
"""

from functools import cache
from hashlib import sha256
from pathlib import Path

from playwright.async_api import Page

SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"

_FILE = Path(__file__).parent / "axe" / "axe.min.js"
_RUN = """async () => (await axe.run()).violations.flatMap((rule) =>
  rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`))"""


async def violations(page: Page) -> list[str]:
    """Every violation on the page as it is, each with its rule and place."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_axe())
    found: list[str] = await page.evaluate(_RUN)
    return found


@cache
def _axe() -> str:
    raw = _FILE.read_bytes()
    assert sha256(raw).hexdigest() == SHA256, f"{_FILE} is not as it was published"
    return raw.decode()
