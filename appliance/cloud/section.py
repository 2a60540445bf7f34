"""Settings of the cloud, by the names of the agent's guide."""

from typing import Annotated, Literal

import msgspec

from appliance.fields import Pem, Secret, Section, Url, field

_NOTHING_SENT = "studies are processed on site; nothing is sent to a cloud"
_TESTED_ONLY = "In this version only the test of the connection uses it."


class CloudSection(Section, frozen=True, kw_only=True):
    """Cloud"""

    protocol: Annotated[
        Literal["rest", "sdk"],
        field("Protocol", f"rest: bearer tokens, unconfirmed until a site has tested it; sdk: API key. {_TESTED_ONLY}"),
    ] = "rest"
    api_url: Annotated[Url, field("API URL", f"Where the cloud's API begins, without a / at its end. {_TESTED_ONLY}")] = ""
    service_user: Annotated[
        str, field("Service user", f"The service account; protocol rest. {_TESTED_ONLY}", max_length=256)
    ] = ""
    service_password: Annotated[
        Secret, field("Service password", f"The password of that account; protocol rest. {_TESTED_ONLY}")
    ] = msgspec.field(default_factory=Secret)
    api_key: Annotated[Secret, field("API key", f"Needed with protocol sdk. {_TESTED_ONLY}")] = msgspec.field(
        default_factory=Secret
    )
    authority: Annotated[
        Pem,
        field("Certificate authority", "PEM, for a cloud whose certificate the site signs itself; empty: the system's list."),
    ] = ""
    own_machine: Annotated[
        bool, field("This machine", "Allow a URL that leads to this machine itself or to a link-local address.")
    ] = False
    show_external_orders: Annotated[
        bool,
        field(
            "Show external orders in results",
            "Completed orders of the same organisation that other agents created.",
            unavailable=_NOTHING_SENT,
        ),
    ] = False
    upload_retries: Annotated[
        int,
        field(
            "Maximum upload retries", "How often an upload that failed is tried again.", ge=0, le=20, unavailable=_NOTHING_SENT
        ),
    ] = 3
