"""How somebody signs in, as the API says before anybody has."""

from tui.contract import Answer

PATH = "/api/sign-in-ways"


class SignInWays(Answer, frozen=True, kw_only=True):
    """Which ways are open to this console."""

    password: bool = True
    single_sign_on: bool = False
    single_sign_on_path: str = ""

    def hint(self, url: str) -> str:
        """What to do for a code; empty without single sign-on."""
        if not self.single_sign_on:
            return ""
        return f"Single sign-on: open {url}{self.single_sign_on_path}?next=console in a browser and type its code here."
