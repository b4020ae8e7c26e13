"""The pages that logging in takes."""

from html import escape

from fastapi.responses import HTMLResponse

from gateway import page


def code_form(*, with_provider: bool, said: str = "", status: int = 200) -> HTMLResponse:
    """Where the one-time code is typed.

    with_provider  whether one can log in at a provider instead
    said           what was wrong with the last try
    """
    other = '<p><a href="/login/oidc">Log in at your provider</a></p>' if with_provider else ""
    warning = f'<p role="alert">{escape(said)}</p>' if said else ""
    return page.page(
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
    return page.page(
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
    return page.onwards("Logged in", "/login")


def refused(said: str, status: int) -> HTMLResponse:
    """Why somebody is not logged in."""
    return page.page(
        "Not logged in",
        f'<p role="alert">{escape(said)}</p><p><a href="/login">Try again</a></p>',
        status=status,
    )
