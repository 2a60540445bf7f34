"""Settings of the front door: address, sessions."""

from typing import Annotated

from appliance.fields import Host, Port, Section, field


class AccessSection(Section, frozen=True, kw_only=True):
    """Access (HTTP)"""

    host: Annotated[Host, field("Address", "The address the API listens on.", restart="api")] = "0.0.0.0"
    port: Annotated[Port, field("Port", restart="api")] = 3001
    idle_hours: Annotated[
        int, field("Idle time", "A session ends when it was not used for so long.", unit="h", ge=1, le=72)
    ] = 8
    lock_after: Annotated[int, field("Wrong passwords", "An account is locked after so many.", ge=3, le=50)] = 5
    lock_minutes: Annotated[int, field("Locked for", "Doubles each time.", unit="min", ge=1, le=1440)] = 5
