"""De-identification in the detail of a study: what would leave, the passport, the proof once more, the linking table."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.timer import Timer
from textual.widgets import Static

from tui.contract import tail
from tui.inert import fit, inert
from tui.messages import Went, WentWrong
from tui.proof import Linking, Passport, Preview, Recheck, Residue
from tui.saving import save
from tui.screens.dialogs import Confirm, Pick, TextDialog
from tui.trouble import Trouble
from tui.widgets.lines import Field, sheet

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tui.screens.page import Page

SHOWN_S = 120
"""A preview holds patient values: it closes when nobody has pressed a key for so long."""

_PROFILES = {
    "": "the settings as they are",
    "safe-harbor-shifted": "safe-harbor-shifted",
    "safe-harbor": "safe-harbor (no dates)",
    "ps3.15-basic": "ps3.15-basic",
}


class _Unselectable(Static):
    """Patient values that the mouse cannot copy past the audit log."""

    ALLOW_SELECT = False


class PreviewDialog(TextDialog):
    """Before and after; closes by itself."""

    def __init__(self, title: str, text: "RenderableType") -> None:
        super().__init__(title, text, wide=True)
        self._closes: Timer | None = None

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with Vertical(classes="dialog -wide") as box:
            box.border_title = inert(self._title).replace("[", "(")
            box.border_subtitle = "Esc closes"
            with VerticalScroll():
                yield _Unselectable(self._text)

    def on_mount(self) -> None:
        """The time begins."""
        self._closes = self.set_timer(SHOWN_S, self._close)

    def _close(self) -> None:
        # Not handed to the timer itself, which would wait for its own screen to go.
        self.dismiss()

    def on_key(self) -> None:
        """Somebody reads: the time begins again."""
        if self._closes is not None:
            self._closes.reset()


def offer(page: "Page", study: str, order: str) -> None:
    """Asks what to look at."""
    choices = [(f"preview:{name}", f"Preview with {title}") for name, title in _PROFILES.items()]
    if order:
        choices += [
            ("passport", "Passport"),
            ("pdf", "Save the passport (PDF)"),
            ("json", "Save the passport (JSON)"),
            ("verify", "Prove it again"),
        ]
    if page.console.me.role in {"admin", ""}:
        choices.append(("linking", "Export the linking table"))

    def chosen(wish: str | None) -> None:
        if wish == "linking":
            _ask_linking(page, study)
        elif wish:
            page.run_worker(_done(page, study, order, wish), group="proof", exclusive=True)

    page.app.push_screen(Pick("De-identification", choices), chosen)


async def _done(page: "Page", study: str, order: str, wish: str) -> None:
    client = page.console.client
    passport = f"/api/orders/{order}/passport"
    try:
        if wish.startswith("preview:"):
            profile = wish.partition(":")[2]
            body = {"what_if": {"profile": profile} if profile else {}}
            made = await client.post(f"/api/studies/{study}/deidentification-preview", Preview, body)
            page.app.push_screen(PreviewDialog(f"Study {tail(study)}: what would leave", preview_text(made)))
        elif wish == "passport":
            found = await client.get(passport, Passport)
            page.app.push_screen(TextDialog(f"Passport of order {tail(order)}", passport_text(found), wide=True))
        elif wish == "verify":
            again = await client.post(f"{passport}/verify", Recheck)
            lines = [Field(name, inert(value)) for name, value in again.fields()]
            page.app.push_screen(TextDialog(f"Order {tail(order)}", sheet([*lines, *_residues(again.residues)])))
        else:
            file = await client.download(passport + ("/pdf" if wish == "pdf" else ""))
            path = save(Path.cwd() / f"{order}_passport.{wish}", file.content)
            page.post_message(Went(f"Saved {path}"))
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))


def preview_text(made: Preview) -> "RenderableType":
    """What changes, line by line, and how much stays."""
    lines: list[Text | Field] = []
    for one in made.lines:
        if one.before == one.after:
            continue
        before = "(none)" if one.before is None else inert(one.before) or "(empty)"
        after = "(gone)" if one.after is None else inert(one.after) or "(empty)"
        lines.append(Text(f"{one.place} {inert(one.name)}  {one.action}"))
        lines.append(Text(f"    {fit(before, 60).rstrip()}  ->  {fit(after, 60).rstrip()}", "dim"))
    same = sum(one.before == one.after for one in made.lines)
    head = Text(f"{made.profile} {made.profile_version}: {len(made.lines) - same} attributes change, {same} stay.", "bold")
    stays = [Text(f"Series {tail(one.series)} does not leave: {inert(one.what)}", "bold") for one in made.staying]
    return sheet([head, *stays, Text(), *lines])


def passport_text(found: Passport) -> "RenderableType":
    """The passport in lines."""
    return sheet(
        [
            Field("Order", found.order),
            Field("Profile", f"{found.profile} {found.profile_version}"),
            Field("Instances", f"{found.instances:,}"),
            *([Field("Complete", found.source.words)] if found.source else []),
            Field("Findings", f"{len(found.residues)}" if found.residues else "none"),
            *_residues(found.residues),
            *(Field(inert(action), f"{count:,}") for action, count in sorted(found.actions.items())),
            *(Field("Note", inert(note)) for note in found.notes),
            Field("Signature", f"{found.signature[:32]}..." if found.signature else "not signed"),
        ],
        16,
    )


def _residues(found: Sequence[Residue]) -> list[Text | Field]:
    return [Text(f"  {one.place}  {inert(one.rule)}  instance {tail(one.instance)}") for one in found[:200]]


def _ask_linking(page: "Page", study: str) -> None:
    effect = (
        "The file names the original UIDs of this study beside those that left: whoever has it can undo that part of the "
        "de-identification. It is saved where this console was started, and the audit notes that you took it."
    )

    def answered(yes: bool | None) -> None:
        if yes:
            page.run_worker(_export(page, study), group="proof")

    page.app.push_screen(Confirm("Export the linking table?", effect, "Export"), answered)


async def _export(page: "Page", study: str) -> None:
    try:
        found = await page.console.client.post(f"/api/studies/{study}/linking", Linking)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("original", "new"))
        writer.writerows((one.original, one.new) for one in found.links)
        path = save(Path.cwd() / f"{study}_linking.csv", text.getvalue().encode())
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))
        return
    page.post_message(Went(f"Saved {path} ({len(found.links):,} UIDs)"))
