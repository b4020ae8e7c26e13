"""The pages that logging in takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

from fastapi.responses import HTMLResponse

from gateway import page
from gateway.identity.passkeys import Passkey

SCRIPT = "/passkeys.js"
"""The one script: it speaks between authenticators and this gateway (`passkeys.js`)."""

_SAID = '<p id="said" role="status"></p>'
"""Where the script says what went wrong."""

_CODE = """<form method="post" action="/login" autocomplete="off">
<p><label for="code">The code that was shown in the terminal</label></p>
<p><input id="code" name="code" required autofocus spellcheck="false" maxlength="32">
<button>Log in</button></p>
</form>"""
_PASSKEY = f"""<p><button type="button" id="log-in" hidden>Log in with a passkey</button></p>
{_SAID}"""
_PROVIDER = '<p><a href="/login/oidc">Log in at your provider</a></p>'


@dataclass(frozen=True, slots=True)
class Ways:
    """How somebody can log in now."""

    code: bool = False
    provider: bool = False
    passkey: bool = False


def ways_in(ways: Ways, *, said: str = "", status: int = 200) -> HTMLResponse:
    """Where somebody logs in.

    said  what was wrong with the last try
    """
    parts = [f'<p role="alert">{escape(said)}</p>' if said else ""]
    parts += [_PASSKEY] if ways.passkey else []
    parts += [_CODE] if ways.code else []
    parts += [_PROVIDER] if ways.provider else []
    script = SCRIPT if ways.passkey else None
    return page.page("Log in", "\n".join(parts), script=script, status=status)


def logged_in(name: str, csrf: str, passkeys: Sequence[Passkey] | None) -> HTMLResponse:
    """Who is logged in, their passkeys, and the way out.

    passkeys  None: there can be none here
    """
    body = f"""<p>You are logged in as <strong>{escape(name)}</strong>.</p>
<p><a href="/">Go to the console</a></p>
<form method="post" action="/logout"><input type="hidden" name="csrf" value="{escape(csrf)}">
<button>Log out</button></form>"""
    if passkeys is None:
        return page.page("Logged in", body)
    return page.page("Logged in", f"{body}\n{_own(csrf, passkeys)}", script=SCRIPT)


def onwards() -> HTMLResponse:
    """Go on to the page of who is logged in.

    A redirect would still count as coming from the provider, and the browser would keep the
    cookie back; what this page asks for comes from here.
    """
    return page.onwards("Logged in", "/login")


def refused(said: str, status: int) -> HTMLResponse:
    """Why somebody is not logged in."""
    return page.page(
        "Not logged in",
        f'<p role="alert">{escape(said)}</p><p><a href="/login">Try again</a></p>',
        status=status,
    )


def _own(csrf: str, passkeys: Sequence[Passkey]) -> str:
    """The passkeys of who is logged in. The script finds the secret for changes at the list."""
    rows = "\n".join(map(_line, passkeys)) or "<li>none yet</li>"
    return f"""<h2>Passkeys</h2>
<ul id="passkeys" data-csrf="{escape(csrf)}">
{rows}
</ul>
<form id="register" hidden>
<p><label for="label">What you call the device</label></p>
<p><input id="label" required maxlength="40" pattern="[ -~]*[!-~][ -~]*">
<button>Register a passkey</button></p>
</form>
{_SAID}"""


def _line(passkey: Passkey) -> str:
    day = datetime.fromtimestamp(passkey.made, UTC).date()
    return (
        f"<li>{escape(passkey.label)}, since {day} "
        f'<button type="button" data-remove="{escape(passkey.id)}">Remove</button></li>'
    )
