"""Settings of receiving."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import AeTitle, Host, Pem, Port, Secret, Section, field

CallerAddress = Annotated[str, Meta(pattern=r"^[\x20-\x5b\x5d-\x7e]{1,16}=[ ]*[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?[ ]*(?!\n)$")]
Hex4 = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{4}(?!\n)$")]
_NO_TAG = "received studies get the default products; a private attribute is not read"


class ReceiveSection(Section, frozen=True, kw_only=True):
    """Receiving (DICOM)"""

    ae_title: Annotated[
        AeTitle,
        field("AE title", "The name that senders call this appliance by.", recommended="RANVIER_SCP", restart="receive"),
    ] = "RANVIER_SCP"
    host: Annotated[Host, field("Address", "The address to listen on; 0.0.0.0 is every address.", restart="receive")] = (
        "0.0.0.0"
    )
    port: Annotated[Port, field("Port", "The DICOM port.", recommended="104", restart="receive")] = 104
    allowed_callers: Annotated[
        tuple[AeTitle, ...],
        field(
            "Allowed calling AE titles", "Who may send; empty accepts everybody.", recommended="the AE titles of your senders"
        ),
    ] = ()
    caller_addresses: Annotated[
        tuple[CallerAddress, ...],
        field(
            "Addresses of callers",
            "AE title = address or network; an AE title that stands here may call from nowhere else.",
            recommended="CT1=192.0.2.10",
        ),
    ] = ()
    check_called: Annotated[
        bool, field("Check the called AE title", "Refuse callers that call this appliance by another AE title.")
    ] = False
    quiet_seconds: Annotated[
        int,
        field(
            "Quiet time",
            "A study is complete when nothing has come for so long and no association is open.",
            unit="s",
            recommended="60",
            ge=1,
            le=86_400,
        ),
    ] = 60
    maximum_associations: Annotated[int, field("Associations at once", "More are turned away for now.", ge=1, le=500)] = 50
    associations_per_address: Annotated[
        int, field("Associations of one address", "More of one address are turned away for now; 0 is no limit.", ge=0, le=500)
    ] = 0
    tls: Annotated[
        bool, field("TLS", "Accept only associations over TLS 1.2 or newer; plain ones are refused.", recommended="on")
    ] = False
    tls_certificate: Annotated[
        Pem, field("TLS certificate", "This appliance's certificate and those between it and the authority, as PEM.")
    ] = ""
    tls_key: Annotated[
        Secret | None, field("TLS private key", "The key of the certificate, as PEM, without a password.", widget="pem")
    ] = None
    tls_authority: Annotated[
        Pem,
        field("Authority of callers", "Certificates of authorities that callers' certificates are checked with, as PEM."),
    ] = ""
    tls_mutual: Annotated[bool, field("Demand certificates", "Refuse callers without a certificate of these authorities.")] = (
        False
    )
    fast_path: Annotated[
        bool,
        field(
            "Fast receiving",
            "Store instances through the journal; off writes one file for each before it is answered, which is much slower.",
        ),
    ] = True
    late_instances: Annotated[
        Literal["ask", "always", "never"],
        field(
            "Late instances",
            "What happens when instances come after a study was processed: "
            "ask opens no order, always opens a new one, never ignores.",
        ),
    ] = "ask"
    product_tag_group: Annotated[
        Hex4,
        field("Product tag: group", "Group of a private attribute that names products, such as 0019.", unavailable=_NO_TAG),
    ] = "0019"
    product_tag_element: Annotated[
        Hex4, field("Product tag: element", "Element of that attribute, such as 0021.", unavailable=_NO_TAG)
    ] = "0021"
    product_tag_creator: Annotated[
        str, field("Product tag: private creator", "Empty: any creator.", max_length=64, unavailable=_NO_TAG)
    ] = ""
    open_orders: Annotated[bool, field("Process received studies", "Open an order by itself when a study is complete.")] = True


class UploadsSection(Section, frozen=True, kw_only=True):
    """Uploads"""

    maximum_gb: Annotated[
        int, field("Maximum upload size", unit="GB", ge=1, le=100, unavailable="this version takes no uploads")
    ] = 5
