"""What a PACS node holds: its answers with the patients hidden, marked and pulled."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message

from tui.contract import Identity, tail
from tui.inert import fit, inert
from tui.messages import Happened, WentWrong
from tui.pacs import Answers, Found, NodeView, PullList, Sought
from tui.screens.list_page import PAGE_ROWS, Fetched, ListPage, Wish
from tui.trouble import Trouble
from tui.widgets.cells import HIDDEN_NUMBER, patient_cell
from tui.widgets.live_table import Column

MAY_REVEAL = 20
"""A reveal asks the node for each answer alone, so that only those are shown that were chosen."""
_BELOW = {"STUDY": "SERIES", "SERIES": "IMAGE"}
_WORDS = {"STUDY": ("study", "studies"), "SERIES": ("series", "series"), "IMAGE": ("instance", "instances")}


class FoundPage(ListPage[Found]):
    """The studies that match, or the series of one, or the instances of a series."""

    MODE = "system"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Other search", key_display="/", priority=True),
        Binding("P", "pull", "Pull"),
        Binding("N", "priors", "Pull priors"),
        Binding("i", "show_study", "Study here"),
    ]
    KEYS = ("back", "mark", "pull", "reveal", "screen.open", "filter", "next_page", "previous_page", "priors", "show_study")

    @dataclass
    class Asked(Message):
        """The node is asked to send so many."""

        count: int

    def __init__(self, node: NodeView, sought: Sought) -> None:
        super().__init__()
        self._node, self._sought = node, sought

    # The list ------------------------------------------------------------------------------------------------------

    def columns(self, width: int) -> Sequence[Column]:
        """Names and numbers; descriptions where there is room."""
        counts = [Column("modalities", "Mod.", 8), Column("instances", "Inst.", 8)]
        match self._sought.level:
            case "IMAGE":
                return [Column("row", "Instance", width - 4)]
            case "SERIES":
                return [Column("number", "Series", 8), *counts, Column("description", "Description", width - 4 - 24)]
        wide = width >= 100
        rest = width - 4 - 14 - 11 - 8 - 16 - 6 - 9
        name = rest // 2 + 3 if wide else rest
        return [
            Column("patient_name", "Patient", name),
            Column("patient_id", "Patient ID", 14),
            Column("study_date", "Date", 11),
            Column("accession", "Acc.", 8),
            *([Column("description", "Descr.", rest - name)] if wide else []),
            *counts,
            Column("series", "Ser.", 6),
            Column("here", "Here", 9),
        ]

    def cells(self, row: Found, columns: Sequence[Column]) -> list[Text]:
        """One answer's cells."""
        return [self._cell(row, column) for column in columns]

    def _cell(self, row: Found, column: Column) -> Text:
        look, room = self.console.look, column.width - 1
        identity = self.console.reveals.of(row.pick)
        match column.key:
            case "row":
                return Text(f"{list(self.rows).index(row.pick) + 1:,}")
            case "instances" | "series":
                count = row.instances if column.key == "instances" else row.series
                return Text("-" if count is None else f"{count:,}")
            case "modalities" | "number":
                value = row.modalities if column.key == "modalities" else row.number
                return Text(fit(value.replace("\\", " ") or "-", room, look.ellipsis).rstrip())
            case "here":
                return Text(tail(row.study) or "-")
        name = {"description": "study_description"}.get(column.key, column.key)
        value = getattr(identity, name) if identity else ""
        length = HIDDEN_NUMBER if room < 8 else 8
        return patient_cell(look, value, revealed=identity is not None, width=room, length=length)

    def key_of(self, row: Found) -> str:
        """The token that stands for the answer."""
        return row.pick

    async def fetch(self, wish: Wish) -> Fetched[Found]:
        """One page of what the node holds, without its patients."""
        skip = int(wish.cursors[-1] or 0)
        page = await self._find(self._sought, limit=PAGE_ROWS, skip=skip)
        known = skip + len(page.items)
        return Fetched(page.items, str(known) if page.more else None, known, known)

    async def _find(self, sought: Sought, *, limit: int, skip: int = 0, reveal: bool = False) -> Answers:
        body = {**msgspec.to_builtins(sought), "limit": limit, "skip": skip, "reveal": reveal}
        return await self.console.client.post(f"{self._node.path}/find", Answers, body)

    def nothing_yet(self) -> tuple[str, str, str]:
        """Says what may help."""
        one = _WORDS[self._sought.level][0]
        return f"{self._node.name} holds no such {one}.", "Names and descriptions may hold * and ?.", "/ asks for others"

    def status(self) -> list[Text | str]:
        """Node, which answers, and how many are marked."""
        if self.trouble is not None:
            return [Text(inert(self.trouble.what), self.console.colour("!"))]
        if self._loaded_at is None:
            return [f"asking {inert(self._node.name)}"]
        before = (len(self.shown.cursors) - 1) * PAGE_ROWS
        first = f"{before + 1:,}-" if before or self._next else ""
        count = f"{first}{before + len(self.rows):,} {_WORDS[self._sought.level][before + len(self.rows) != 1]}"
        marked = len(self.table.marked)
        return [inert(self._node.name), count + (" and more" if self._next else ""), f"{marked} marked" if marked else ""]

    def reload(self) -> None:
        """The first time only: a PACS is not asked again by what happens here, and marks and the cursor stay."""
        if self._loaded_at is None and self.trouble is None:
            super().reload()

    def action_refresh(self) -> None:
        """Asks the node again."""
        super().reload()

    def happened(self, message: Happened) -> None:
        """Nothing that happens here changes what the node holds."""

    # Keys ----------------------------------------------------------------------------------------------------------

    def action_back(self) -> None:
        """Back to the nodes, or to the studies of these series."""
        self.dismiss()

    def copied(self) -> str:
        """The identifier here of the study under the cursor; a pick is nothing that a person reads."""
        row = self.rows.get(self.table.current)
        return row.study or "" if row else ""

    def action_filter(self) -> None:
        """Other keys; what was typed of a patient is not shown again."""
        from tui.screens.ask_node import AskNode

        def given(sought: object) -> None:
            if isinstance(sought, Sought):
                self._sought, self.rows, self._loaded_at, self.trouble = sought, {}, None, None
                self.console.hide_patients()
                self.draw()
                self._load(Wish())

        kept = Sought(study_date=self._sought.study_date, modality=self._sought.modality)
        self.app.push_screen(AskNode(self._node.name, kept), given)

    def action_open(self) -> None:
        """The series of a study, the instances of a series."""
        row, below = self.rows.get(self.table.current), _BELOW.get(self._sought.level)
        if row is not None and below:
            self.app.push_screen(FoundPage(self._node, Sought(level=below, pick=row.pick)))

    def action_show_study(self) -> None:
        """Opens the study that is here already."""
        from tui.screens.study import StudyScreen

        row = self.rows.get(self.table.current)
        if row is not None and row.study:
            self.app.push_screen(StudyScreen(row.study, self.mode))

    def action_priors(self) -> None:
        """Pulls what else the node holds of the patient of a study that is here."""
        from tui.screens.priors import ask_priors

        row = self.rows.get(self.table.current)
        if row is not None and row.study:
            ask_priors(self, row.study, self._node)

    def action_reveal(self) -> None:
        """Shows the chosen answers' patients for 30 seconds; the API writes each into the audit log."""
        rows = self.targets()
        if len(rows) > MAY_REVEAL:
            self.say(f"At most {MAY_REVEAL} at once; the node is asked for each.", bad=True)
        elif rows:
            self._reveal(rows)

    @work(group="reveal", exclusive=True)
    async def _reveal(self, rows: Sequence[Found]) -> None:
        identities: list[Identity] = []
        for row in rows:
            try:
                page = await self._find(Sought(level=self._sought.level, pick=row.pick), limit=PAGE_ROWS, reveal=True)
            except Trouble as trouble:
                self.post_message(WentWrong(trouble))
                return
            identities += [_identity(row, one) for one in page.items[:1]]
        # Somebody who went on to another page meanwhile does not see these patients there.
        if self.is_current:
            self.console.reveals.show(identities)
            self.draw()

    def action_pull(self) -> None:
        """Pulls the marked answers, or the one under the cursor, after a question."""
        from tui.screens.dialogs import Confirm

        rows = self.targets()
        if not rows:
            return
        counted = f"{len(rows)} {_WORDS[self._sought.level][len(rows) != 1]}"
        here = sum(bool(row.study) for row in rows)
        again = f" Of {here} of them something is here already; what is known is recognised." if here else ""
        effect = f"{self._node.name} is asked to send {counted} by {self._node.words}.{again} They are processed as any others."

        def answered(yes: bool | None) -> None:
            if yes:
                self._pull([row.pick for row in rows], secrets.token_hex(16))

        self.app.push_screen(Confirm(f"Pull {counted}?", effect, "Pull"), answered)

    @work(group="change")
    async def _pull(self, picks: list[str], key: str) -> None:
        path, headers = f"{self._node.path}/pulls", {"Idempotency-Key": key}
        try:
            asked = await self.console.client.post(path, PullList, {"picks": picks}, headers=headers)
        except Trouble as trouble:
            self.post_message(WentWrong(trouble))
            return
        self.post_message(self.Asked(len(asked.items)))

    @on(Asked)
    def _asked_to_send(self, message: Asked) -> None:
        for key in list(self.table.marked):
            self.table.mark(key, False)
        word = "pull" if message.count == 1 else "pulls"
        self.say(f"{message.count} {word} asked for; Esc leads to the list that shows how far.")
        self.draw_status()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what the answer under the cursor allows; series and instances are no other search."""
        row = self.rows.get(self.table.current) if self.ready else None
        match action:
            case "filter":
                return self._sought.level == "STUDY"
            case "reveal":
                # The description is all that a series tells of its patient; an instance tells nothing.
                return row is not None and self._sought.level == "STUDY"
            case "pull":
                return row is not None
            case "priors" | "show_study":
                return row is not None and bool(row.study)
        return super().check_action(action, parameters)


def _identity(row: Found, shown: Found) -> Identity:
    names = ("patient_name", "patient_id", "birth_date", "sex", "accession", "study_date")
    values = {name: getattr(shown, name) for name in names}
    return Identity(study=row.pick, study_description=shown.description, **values)
