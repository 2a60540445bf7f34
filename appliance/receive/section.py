"""Settings of receiving."""

from typing import Annotated, Literal

from appliance.fields import AeTitle, Host, Port, Section, field


class ReceiveSection(Section, frozen=True, kw_only=True):
    """Receiving (DICOM)"""

    ae_title: Annotated[AeTitle, field("AE title", "The name that senders call this appliance by.", restart="receive")] = (
        "RANVIER_SCP"
    )
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
    maximum_associations: Annotated[
        int, field("Associations at once", "More are turned away for now.", ge=1, le=500, restart="receive")
    ] = 50
    late_instances: Annotated[
        Literal["ask", "always", "never"],
        field(
            "Late instances",
            "What happens when instances come after a study was processed: "
            "ask opens no order, always opens a new one, never ignores.",
        ),
    ] = "ask"
    open_orders: Annotated[bool, field("Process received studies", "Open an order by itself when a study is complete.")] = True
