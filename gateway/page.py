"""Pages: the frame of the few that people see in a browser, on either listener.

No script but a file of ours where a page names one, no frame around them, nothing from elsewhere;
nobody keeps a copy. What stands in a page is made by who calls, of texts that were escaped there.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape

from fastapi.responses import HTMLResponse

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:4rem auto;padding:0 1rem;"
    "background:light-dark(#fff,#14171c);color:light-dark(#16191d,#e8eaed)}"
    "a{color:light-dark(#0b57a4,#8ab8ff)}"
    "input,button{font:inherit;padding:.3rem .6rem;min-height:2.25rem}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

_POLICY = "content-security-policy"

HEADERS: Mapping[str, str] = {
    "cache-control": "no-store",
    _POLICY: (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    # Not `no-referrer`: forms would then be sent with the Origin `null`.
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What goes with every page, and with what sends a browser elsewhere."""


def page(
    title: str, body: str, *, head: str = "", script: str | None = None, status: int = 200
) -> HTMLResponse:
    """A whole page.

    body, head  HTML
    script      path of a file of ours that runs in it, and may ask this listener; None: none does
    """
    headers = HEADERS
    if script is not None:
        head = f'{head}<script src="{escape(script)}" defer></script>'
        allowed = f"{HEADERS[_POLICY]}; script-src 'self'; connect-src 'self'"
        headers = {**HEADERS, _POLICY: allowed}
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - Passavant</title>{head}
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>
<body><main><h1>{title}</h1>
{body}
</main></body></html>
""",
        status,
        headers=headers,
    )


def onwards(title: str, url: str, *, more: str = "") -> HTMLResponse:
    """A page that goes on to `url` by itself.

    Not a redirect: in some browsers `form-action` holds for where a form leads in the end, and a
    redirect counts as coming from whoever sent the browser here, so that strict cookies stay back.

    more  HTML above the link
    """
    link = escape(url)
    head = f'<meta http-equiv="refresh" content="0;url={link}">'
    return page(title, f'{more}<p><a href="{link}">Go on</a></p>', head=head)
