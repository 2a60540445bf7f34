"""Settings of the hub."""

from typing import Annotated

from appliance.fields import Section, field


class HubSection(Section, frozen=True, kw_only=True):
    """Hub"""

    enabled: Annotated[
        bool,
        field(
            "Serve the cloud's SDK API",
            "At /cloud, over TLS only save from this machine itself; an API key is a token with the permission hub.use.",
        ),
    ] = False
    runs_per_key: Annotated[
        int, field("Runs of one key", "How many orders a key may run altogether; 0: as many as it likes.", ge=0, le=1_000_000)
    ] = 0
    order_mb: Annotated[
        int, field("Largest order", "All ZIPs of one order, packed and unpacked.", unit="MB", ge=1, le=1_000_000)
    ] = 5000
    origins: Annotated[
        tuple[Annotated[str, field("", pattern=r"^https?://[A-Za-z0-9.\-:\[\]]{1,255}(?!\n)$")], ...],
        field(
            "Web pages that may call",
            "Origins of pages whose scripts use the hub (CORS), like https://portal.example.org; empty: programs only.",
        ),
    ] = ()
    session_hours: Annotated[int, field("Session", "How long a client stays connected.", unit="h", ge=1, le=720)] = 24
