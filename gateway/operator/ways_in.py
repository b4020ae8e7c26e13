"""Ways in: how operators get in with a browser, and who is in."""

from dataclasses import dataclass

from gateway.identity.passkeys import Site
from gateway.identity.throttle import Throttle
from gateway.operator.browser_sessions import BrowserSessions
from gateway.operator.challenges import Challenges
from gateway.operator.login_codes import LoginCodes
from gateway.operator.single_sign_on import SingleSignOn


@dataclass(frozen=True, slots=True)
class WaysIn:
    """By a provider, a passkey or a code; all lead to a session of the browser.

    browsers    who is logged in
    site        what passkeys are made for; None: an address can have none
    challenges  what passkeys are asked to sign
    attempts    counts the log-ins that each place begins
    sign_on     where operators log in; None: nowhere
    codes       each good once
    """

    browsers: BrowserSessions
    site: Site | None
    challenges: Challenges
    attempts: Throttle
    sign_on: SingleSignOn | None
    codes: LoginCodes
