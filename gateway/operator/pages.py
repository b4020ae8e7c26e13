"""Pages: the few that logging in takes. No script, no frame, nothing from elsewhere."""

from base64 import b64encode
from hashlib import sha256
from html import escape

from fastapi.responses import HTMLResponse

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}"
    "input,button{font:inherit;padding:.3rem .6rem}"
)
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    # Not `no-referrer`: forms would then be sent with the Origin `null`.
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
}


def code_form(*, with_provider: bool, said: str = "", status: int = 200) -> HTMLResponse:
    """Where the one-time code is typed.

    with_provider  whether one can log in at a provider instead
    said           what was wrong with the last try
    """
    other = '<p><a href="/login/oidc">Log in at your provider</a></p>' if with_provider else ""
    warning = f'<p role="alert">{escape(said)}</p>' if said else ""
    return _page(
        "Log in",
        f"""{warning}
<form method="post" action="/login" autocomplete="off">
<p><label for="code">The code that was shown where this gateway was started</label></p>
<p><input id="code" name="code" required autofocus spellcheck="false" maxlength="32">
<button>Log in</button></p>
</form>{other}""",
        status=status,
    )


def logged_in(name: str, csrf: str) -> HTMLResponse:
    """Who is logged in, and the way out."""
    return _page(
        "Logged in",
        f"""<p>You are logged in as <strong>{escape(name)}</strong>.</p>
<form method="post" action="/logout"><input type="hidden" name="csrf" value="{escape(csrf)}">
<button>Log out</button></form>""",
    )


def onwards() -> HTMLResponse:
    """Go on to the page of who is logged in.

    A redirect would still count as coming from the provider, and the browser would keep the
    cookie back; what this page asks for comes from here.
    """
    return _page(
        "Logged in",
        '<p><a href="/login">Go on</a></p>',
        head='<meta http-equiv="refresh" content="0;url=/login">',
    )


def refused(said: str, status: int) -> HTMLResponse:
    """Why somebody is not logged in."""
    return _page(
        "Not logged in",
        f'<p role="alert">{escape(said)}</p><p><a href="/login">Try again</a></p>',
        status=status,
    )


def _page(title: str, body: str, *, head: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(
        f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - Passavant</title>{head}
<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>
<body><h1>{title}</h1>
{body}
</body></html>
""",
        status,
        headers=_HEADERS,
    )
