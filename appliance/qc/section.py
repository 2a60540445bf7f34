"""Settings of quality control."""

from typing import Annotated

from appliance.fields import Section, field


class QcSection(Section, frozen=True, kw_only=True):
    """Quality control"""

    switched_off: Annotated[
        tuple[str, ...],
        field("Checks switched off", "A check that is off shows as bypassed and counts as passed.", widget="qc-checks"),
    ] = ()
