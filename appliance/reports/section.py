"""Settings of reports."""

from typing import Annotated, Literal

from appliance.fields import Section, field


class ReportsSection(Section, frozen=True, kw_only=True):
    """Reports"""

    paper: Annotated[Literal["A4", "Letter"], field("Paper")] = "A4"
    institution: Annotated[str, field("Institution", "Printed on each report.", max_length=64)] = ""
