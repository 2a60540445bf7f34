"""The answer about outbound destinations."""

from tui.contract import Answer


class Flow(Answer, frozen=True, kw_only=True):
    """One outbound destination."""

    section: str = ""
    name: str = ""
    protocol: str = ""
    address: str = ""
    gets: str = ""
    identified: str = ""
    encrypted: str = ""
    active: bool = False
    remark: str = ""
    last_use: str | None = None
