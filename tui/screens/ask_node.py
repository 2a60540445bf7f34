"""What a PACS node is asked for."""

import re

import msgspec
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label, Static

from tui.inert import inert
from tui.pacs import Sought
from tui.screens.dialogs import AskForm

_DATE = re.compile(r"^\d{8}$|^\d{8}-(\d{8})?$|^-\d{8}$", re.ASCII)
_FIELDS = (
    ("patient_id", "Patient ID", ""),
    ("patient_name", "Patient name", "Family^Given, * and ? are wild"),
    ("accession", "Accession", ""),
    ("study_date", "Study date", "20240131 or 20240101-20241231"),
    ("modality", "Modality", "such as MR"),
    ("description", "Description", "* and ? are wild"),
)


class AskNode(AskForm):
    """The keys of a search on a node; gives `Sought`."""

    ACCEPT = "Find"

    def __init__(self, node: str, before: Sought) -> None:
        super().__init__()
        self.TITLE_LINE = inert(f"Find on {node}").replace("[", "(")  # type: ignore[misc]
        self._before = before

    def fields(self) -> ComposeResult:
        """One line a key."""
        yield Static(Text("Empty fields match everything. The audit notes that you asked."), classes="say")
        for name, title, example in _FIELDS:
            with Horizontal(classes="row -close"):
                yield Label(title)
                yield Input(
                    str(getattr(self._before, name)),
                    compact=True,
                    id=name,
                    placeholder=example,
                    max_length=16 if name == "modality" else 64,
                )

    def accept(self) -> None:
        """At least one key, each in its form."""
        given = {name: self.query_one(f"#{name}", Input).value.strip() for name, _, _ in _FIELDS}
        given["modality"] = given["modality"].upper()
        if not any(given.values()):
            self.wrong("Give at least one.")
        elif given["study_date"] and not _DATE.match(given["study_date"]):
            self.wrong("A date is YYYYMMDD, a range YYYYMMDD-YYYYMMDD; either end of a range may be open.")
        elif not re.match(r"^[A-Z0-9]*$", given["modality"], re.ASCII):
            self.wrong("A modality is letters and digits, such as MR.")
        elif any("\\" in value for value in given.values()):
            self.wrong("A backslash cannot be looked for.")
        else:
            self.dismiss(msgspec.structs.replace(self._before, **given))
