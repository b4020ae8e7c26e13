"""Pages: the frame of the few that people see in a browser, on either listener.

No script but a file of ours where a page names one, no frame around them, nothing from elsewhere;
nobody keeps a copy. What stands in a page is made by who calls, of texts that were escaped there.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape

from fastapi.responses import HTMLResponse

_STYLE = """
:root{color-scheme:light dark;
--ground:light-dark(#fff,#14171c);--raised:light-dark(#f4f5f7,#1d2128);
--line:light-dark(#c9ced6,#3b424d);--edge:light-dark(#6b7280,#8b95a5);
--text:light-dark(#16191d,#e8eaed);--quiet:light-dark(#4b5563,#aeb6c2);
--link:light-dark(#0b57a4,#8ab8ff);--allow:light-dark(#14632f,#7ddb9b);
--deny:light-dark(#a3141e,#ff9a9a);--on-deny:light-dark(#fff,#1a0406)}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--text);font:1rem/1.5 system-ui,sans-serif}
header{border-bottom:1px solid var(--line);background:var(--raised);padding:.6rem 1rem;
font-weight:650}
main{max-width:38rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem;margin:.5rem 0 1rem}h2{font-size:1.15rem;margin:1.75rem 0 .5rem}
h1,p,li{overflow-wrap:anywhere}
a{color:var(--link);text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
label{color:var(--quiet);font-size:.9rem}
code{font-family:ui-monospace,monospace;font-size:.92em}
input,button{font:inherit;color:var(--text);background:var(--ground);border:1px solid var(--edge);
border-radius:.3rem;padding:.35rem .9rem;min-height:2.5rem;max-width:100%}
button{background:var(--raised);cursor:pointer}button:hover{border-color:var(--text)}
button[value=deny]{background:var(--deny);border-color:var(--deny);color:var(--on-deny);font-weight:650}
button[value=allow]{border:2px solid var(--allow);color:var(--allow);font-weight:650}
[role=alert]{border-left:.3rem solid var(--deny);background:var(--raised);padding:.6rem .9rem}
"""
"""The colours and shapes of the console (`console/static/style.css`), as far as pages have them."""

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
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><header>Passavant</header><main><h1>{title}</h1>
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
