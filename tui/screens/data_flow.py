"""The data-flow page: every outbound destination that the settings name."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tui.clock import full_time, moment
from tui.flows import Flow
from tui.inert import inert
from tui.widgets.lines import Field, sheet

if TYPE_CHECKING:
    from tui.app import Console


def flow_text(console: "Console", flows: Sequence[Flow]) -> RenderableType:
    """One block a destination; what leaves identified or in the clear stands out."""
    if not flows:
        return Text("Nothing leaves this appliance: the settings name no destination.")
    lines: list[Text | Field] = []
    for one in flows:
        identified = Text(one.identified, console.colour("!") if one.identified == "yes" else "")
        encrypted = Text(one.encrypted, console.colour("X") if one.encrypted == "no" else "")
        used = full_time(moment(one.last_use), console.place) if one.last_use else "-"
        lines += [
            Text(inert(one.name), "bold") + Text(f"   {inert(one.protocol)}   {inert(one.address)}"),
            Field("Gets", inert(one.gets)),
            Field("Identified", identified),
            Field("Encrypted", encrypted),
            Field("Last use", used if one.active else inert(one.remark) or "not in use"),
            Text(),
        ]
    return sheet(lines, 12)
