"""Settings of the cloud, by the names of the agent's guide."""

from typing import Annotated, Literal

import msgspec

from appliance.fields import Pem, Secret, Section, Url, field

_NOT_YET = "this version lists no orders of others"
_REST = "protocol rest, of which this version has only the test of the connection"


class CloudSection(Section, frozen=True, kw_only=True):
    """Cloud"""

    protocol: Annotated[
        Literal["rest", "sdk"],
        field("Protocol", "sdk: API key, encrypted calls; rest: bearer tokens, of which this version has the test only."),
    ] = "rest"
    api_url: Annotated[Url, field("API URL", "Where the cloud's API begins, without a / at its end.")] = ""
    service_user: Annotated[str, field("Service user", f"The service account; {_REST}.", max_length=256)] = ""
    service_password: Annotated[Secret, field("Service password", f"The password of that account; {_REST}.")] = msgspec.field(
        default_factory=Secret
    )
    api_key: Annotated[Secret, field("API key", "Needed with protocol sdk.")] = msgspec.field(default_factory=Secret)
    product_names: Annotated[
        tuple[Annotated[str, field("", pattern=r"^[A-Za-z0-9._\-]{1,64}=[^\x00-\x1f]{1,128}(?!\n)$")], ...],
        field(
            "Product names", "Where the cloud calls a product otherwise than this appliance, like aidp=Atypical/MSAp/PSP-v1.0."
        ),
    ] = ()
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
            unavailable=_NOT_YET,
        ),
    ] = False
    upload_retries: Annotated[
        int, field("Maximum upload retries", "How often an upload that failed is tried again at once.", ge=0, le=20)
    ] = 3
    part_kb: Annotated[
        int, field("Size of a part", "A ZIP is closed when it would grow beyond.", unit="kB", ge=64, le=1_000_000)
    ] = 15_728
    upload_kb_s: Annotated[
        int, field("Upload speed", "Of one upload; 0: as fast as the line goes.", unit="kB/s", ge=0, le=10_000_000)
    ] = 0
    upload_from: Annotated[int, field("Uploads from", "Full hour of the site's time zone.", unit="h", ge=0, le=23)] = 0
    upload_until: Annotated[
        int, field("Uploads until", "Full hour; the same as the first: at any time.", unit="h", ge=0, le=23)
    ] = 0
