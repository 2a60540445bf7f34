"""Settings of groups, by the names of the agent's guide."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import Section, Url, field

_NO_GROUPS = "this version has no groups yet"


class GroupsSection(Section, frozen=True, kw_only=True):
    """Groups"""

    auto_assign: Annotated[
        str,
        field("Auto-assign DICOM studies to group", "Received studies join this group.", max_length=64, unavailable=_NO_GROUPS),
    ] = ""
    send_on_completion: Annotated[
        bool,
        field(
            "Auto-send report when group completes",
            "Once all orders of a group have reached their end.",
            unavailable=_NO_GROUPS,
        ),
    ] = False
    schedule: Annotated[
        Annotated[str, Meta(pattern=r"^(?!\n)$|^(\S+\s+){4}\S+(?!\n)$")],
        field(
            "Send group reports on a schedule",
            "Minute, hour, day, month, weekday; 0 6 * * 1,4 is Monday and Thursday at six; empty: never.",
            widget="cron",
            unavailable=_NO_GROUPS,
        ),
    ] = ""
    report_type: Annotated[
        Literal["prediction-indexes"],
        field("Report type", "A CSV file with the prediction indexes of every study.", unavailable=_NO_GROUPS),
    ] = "prediction-indexes"
    filename_template: Annotated[
        str,
        field(
            "Filename template",
            "May hold {group_name}, {report_type} and {date}.",
            pattern=r"^[A-Za-z0-9 ._\-{}]{1,128}(?!\n)$",
            unavailable=_NO_GROUPS,
        ),
    ] = "{group_name}_{report_type}_{date}"
    delivery: Annotated[
        Literal["none", "email", "rest"], field("Delivery method", "none: download by hand.", unavailable=_NO_GROUPS)
    ] = "none"
    recipients: Annotated[
        str, field("Recipients", "E-mail addresses with commas between them.", max_length=1000, unavailable=_NO_GROUPS)
    ] = ""
    url: Annotated[Url, field("URL", "For delivery by REST.", unavailable=_NO_GROUPS)] = ""
