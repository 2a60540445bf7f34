"""Settings of groups, by the names of the agent's guide; where their reports go stands with the other destinations."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import Section, field


class GroupsSection(Section, frozen=True, kw_only=True):
    """Groups"""

    auto_assign: Annotated[
        Annotated[str, Meta(pattern=r"^(?!\n)$|^[A-Za-z0-9][A-Za-z0-9 ._\-]{0,39}(?!\n)$")],
        field(
            "Auto-assign DICOM studies to group",
            "Received studies join this group when their order is opened; it is made when there is none; empty: none.",
        ),
    ] = ""
    send_on_completion: Annotated[
        bool,
        field(
            "Auto-send report when group completes",
            "Once all orders of a group have reached their end; the report itself is made anyhow.",
        ),
    ] = False
    schedule: Annotated[
        Annotated[str, Meta(pattern=r"^(?!\n)$|^(\S+\s+){4}\S+(?!\n)$", max_length=128)],
        field(
            "Send group reports on a schedule",
            "Minute, hour, day, month, weekday; 0 6 * * 1,4 is Monday and Thursday at six; empty: never.",
            widget="cron",
        ),
    ] = ""
    report_type: Annotated[
        Literal["prediction-indexes"],
        field("Report type", "A CSV file with the prediction indexes of every study, and a page of their statistics."),
    ] = "prediction-indexes"
    filename_template: Annotated[
        str,
        field(
            "Filename template",
            "May hold {group_name}, {report_type} and {date}.",
            pattern=r"^[A-Za-z0-9 ._\-{}]{1,128}(?!\n)$",
        ),
    ] = "{group_name}_{report_type}_{date}"
