"""Why single sign-on was refused."""

from appliance.errors import Conflict, Denied


class SingleSignOnOff(Conflict):
    """Single sign-on is switched off or not set up."""

    code = "single-sign-on-off"
    next_step = "Sign in with a password, or set up single sign-on in the settings."


class SingleSignOnOnly(Denied):
    """This appliance is signed in to by single sign-on only."""

    code = "single-sign-on-only"
    next_step = (
        "Open /api/saml/login in a browser. Administrators may use their password in the console on the appliance itself."
    )


class PlainHttp(Denied):
    """Single sign-on is refused over plain HTTP."""

    code = "single-sign-on-plain"
    next_step = "Use the HTTPS address of this appliance."


class SamlRefused(Denied):
    """The identity provider's answer was refused: {why}."""

    code = "saml-refused"
    next_step = "Sign in again. If it stays so, show this sentence to whoever looks after the identity provider."

    def __init__(self, cause: str, why: str) -> None:
        """`cause` is a stable word for audit and tests, `why` a sentence without anything that was sent."""
        self.cause = cause
        super().__init__(why=why)


class WrongSignInCode(Denied):
    """This code is wrong, was used, or is older than three minutes."""

    code = "wrong-sign-in-code"
    next_step = "Open /api/saml/login?next=console in a browser for a new one."


class NoGroup(Denied):
    """You are known to the identity provider, but no group of yours may use this appliance."""

    code = "saml-no-group"
    next_step = "Ask for membership in the group that is named in this appliance's settings."


class AccountDisabled(Denied):
    """This account is disabled."""

    code = "account-disabled"
    next_step = "Ask an administrator."
