"""Settings of the malware scanner."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import Port, Section, field


class ScanSection(Section, frozen=True, kw_only=True):
    """Malware scanner"""

    enabled: Annotated[bool, field("Scan uploads", "Every file of an upload, before anything else reads it.")] = False
    socket: Annotated[
        Annotated[str, Meta(pattern=r"^(?!\n)$|^/[^\x00\n]{1,100}(?!\n)$")],
        field("Socket", "Path of clamd's Unix socket; empty uses host and port."),
    ] = ""
    host: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{0,253}(?!\n)$")],
        field("Host", "Where clamd listens."),
    ] = "127.0.0.1"
    port: Annotated[Port, field("Port", "clamd's TCP port.")] = 3310
    timeout_s: Annotated[int, field("Time-out", unit="s", ge=1, le=600)] = 60
    when_down: Annotated[
        Literal["wait", "refuse"],
        field("Without a scanner", "An upload waits, or is refused; it never passes."),
    ] = "wait"
