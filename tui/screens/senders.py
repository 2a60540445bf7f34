"""Who sends, and why associations came to nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from tui.clock import age, full_time, moment
from tui.flows import AssociationTrouble, Sender
from tui.inert import fit, inert
from tui.widgets.lines import Field, sheet

if TYPE_CHECKING:
    from tui.app import Console


def associations_text(console: "Console", troubles: Sequence[AssociationTrouble]) -> RenderableType:
    """One block an association, newest first: what happened, and what helps."""
    if not troubles:
        return Text("No association was refused, aborted or failed.")
    lines: list[Text | Field] = []
    for one in troubles:
        head = Text(f"{inert(one.caller)} from {inert(one.address)}", "bold")
        lines += [
            head.append(f"   {inert(one.kind)}", console.colour("!")).append(
                f"   {full_time(moment(one.at), console.place)}", "dim"
            ),
            Field("Why", inert(one.sentence)),
            Field("To do", inert(one.advice)),
            Text(),
        ]
    return sheet(lines, 8)


def senders_text(console: "Console", senders: Sequence[Sender]) -> RenderableType:
    """A line each; what may no longer send, and proposals that differ from the setting, stand out."""
    if not senders:
        return Text("Nobody has sent anything yet.")
    now = console.clock.now()
    lines: list[Text | Field] = [
        Text(f"{'AE title':<18}{'Address':<18}{'Studies':>8}{'Instances':>11}  {'Quiet time':<12}{'Learned':<10}Last", "bold")
    ]
    for one in senders:
        line = Text(fit(inert(one.ae_title), 18) + fit(inert(one.address), 18) + f"{one.studies:>8,}{one.instances:>11,}  ")
        line.append(fit(f"{one.quiet_s} s", 12))
        learned = "-" if one.proposed_quiet_s is None else f"{one.proposed_quiet_s} s"
        differs = one.proposed_quiet_s not in (None, one.quiet_s)
        line.append(fit(learned, 10), console.colour("!") if differs else "")
        line.append(age(moment(one.last_at), now))
        lines.append(line if one.allowed else line.append("  may not send", console.colour("X")))
    lines += [
        Text(),
        Text("Learned: from pauses between associations of one study, once 20 studies came. Settings, Receiving:", "dim"),
        Text("'Quiet times of senders' sets one for a sender, 'Use learned quiet times' takes them all.", "dim"),
    ]
    return sheet(lines, 8)
