"""`/help`: keys, and what each stable code means, with the same words as the command line."""

from collections.abc import Mapping

from fastapi import Request, Response

from console import frame
from console.routes import Pages
from console.visitors import Viewer

KEYS = (
    ("/", "search, where a page has one"),
    ("?", "this page"),
    ("g n", "Now"),
    ("g a", "Approvals"),
    ("g r", "Runs"),
    ("g l", "Audit"),
    ("g g", "Agents"),
    ("g t", "Servers"),
    ("g p", "Policies"),
    ("g o", "Log"),
    ("g x", "Stop"),
    ("g s", "Settings"),
    ("j, k", "the next row, the row before"),
    ("Enter", "open the row"),
    ("d", "go to Deny, without pressing it"),
)

router = Pages()


@router.get("/help")
async def help_on(visitor: Viewer, request: Request, q: str = "") -> Response:
    """Keys and codes; of the latter those that have `q` in them."""
    codes: Mapping[str, str] = request.app.state.codes
    wanted = q.casefold()
    found = {code: text for code, text in codes.items() if wanted in f"{code} {text}".casefold()}
    in_order = dict(sorted(found.items()))
    return frame.show(request, visitor, "help/page.html", q=q, keys=KEYS, codes=in_order)
