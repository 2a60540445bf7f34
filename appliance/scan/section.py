"""Settings of the malware scanner."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import Port, Section, field

_NO_UPLOADS = "this version takes no uploads, and only uploads are scanned"


class ScanSection(Section, frozen=True, kw_only=True):
    """Malware scanner"""

    enabled: Annotated[bool, field("Scan uploads", "Every upload, before anything else sees it.", unavailable=_NO_UPLOADS)] = (
        False
    )
    socket: Annotated[
        Annotated[str, Meta(pattern=r"^(?!\n)$|^/[^\x00\n]{1,100}(?!\n)$")],
        field("Socket", "Path of clamd's Unix socket; empty uses host and port. In this version only the test uses it."),
    ] = ""
    host: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{0,253}(?!\n)$")],
        field("Host", "Where clamd listens. In this version only the test uses it."),
    ] = "127.0.0.1"
    port: Annotated[Port, field("Port", "clamd's TCP port.")] = 3310
    timeout_s: Annotated[int, field("Time-out", unit="s", ge=1, le=600)] = 60
    when_down: Annotated[
        Literal["wait", "refuse"],
        field("Without a scanner", "An upload waits, or is refused; it never passes.", unavailable=_NO_UPLOADS),
    ] = "wait"
