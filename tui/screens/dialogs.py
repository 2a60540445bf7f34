"""Questions and small windows: confirm, give a reason, give age and sex, read a text, copy by hand."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Label, OptionList, Static
from textual.widgets.option_list import Option

from tui.inert import inert
from tui.screens.fields import Fields

_AGE = re.compile(r"^\d{1,3}([YMWD])?$", re.IGNORECASE)
"""PS3.5 section 6.2, VR AS: three digits and Y, M, W or D; here years may go without unit and leading zeros."""

_SHORTEST_REASON = 5
"""What the API takes."""


class Confirm(ModalScreen[bool]):
    """Names the object and the effect; No is the default."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", "No"),
        Binding("y", "dismiss(True)", "Yes"),
        Binding("left,h,right,l", "app.focus_next", "Other answer", show=False),
    ]

    def __init__(self, title: str, effect: str, yes: str, no: str = "No") -> None:
        super().__init__()
        self._title, self._effect, self._yes, self._no = title, effect, yes, no

    def compose(self) -> ComposeResult:
        """The question and two answers."""
        with Vertical(classes="dialog") as box:
            box.border_title = inert(self._title).replace("[", "(")
            yield Static(Text(inert(self._effect, lines=True)), classes="say")
            with Horizontal(classes="buttons"):
                yield Button(self._no, id="no", compact=True, variant="primary")
                yield Button(self._yes, id="yes", compact=True)

    def on_mount(self) -> None:
        """No has the focus."""
        self.query_one("#no", Button).focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")


class AskForm(ModalScreen[object], Fields[object]):
    """Fields, a line for what is wrong, Ok and Cancel."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Cancel"),
        Binding("ctrl+s", "save", "Ok"),
    ]
    TITLE_LINE: ClassVar[str] = ""
    ACCEPT: ClassVar[str] = "Ok"

    def fields(self) -> ComposeResult:
        """The form's own widgets."""
        yield from ()

    def compose(self) -> ComposeResult:
        """The frame around the fields."""
        with Vertical(classes="dialog") as box:
            box.border_title = self.TITLE_LINE
            yield from self.fields()
            yield Static(classes="wrong", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button(self.ACCEPT, id="accept", compact=True, variant="primary")

    def on_mount(self) -> None:
        """The first field takes the keys."""
        inputs = list(self.query(Input))
        for field in inputs:
            field.cursor_blink = False
        inputs[0].focus()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "accept":
            self.accept()
        else:
            self.dismiss(None)

    def action_save(self) -> None:
        """The same as Enter in the last field."""
        self.accept()

    def wrong(self, text: str) -> None:
        """Says what must be corrected."""
        self.query_one(".wrong", Static).update(Text(text))


class AskReason(AskForm):
    """The warning before a QC bypass, and the reason for it; gives the reason."""

    TITLE_LINE = "Bypass quality control"
    ACCEPT = "Bypass"

    def __init__(self, name: str) -> None:
        super().__init__()
        self._study = name

    def fields(self) -> ComposeResult:
        """The warning and one field."""
        yield Static(
            Text(
                f"Study {self._study} did not pass quality control. Processing it anyway may fail, may cost extra, and its "
                "numbers may be unreliable. The report says that QC was bypassed, by whom and why."
            ),
            classes="say",
        )
        with Horizontal(classes="row"):
            yield Label("Reason")
            yield Input(compact=True, id="reason", max_length=400)

    def accept(self) -> None:
        """A reason is needed."""
        reason = self.query_one("#reason", Input).value.strip()
        if len(reason) < _SHORTEST_REASON:
            few = f"Give a reason of {_SHORTEST_REASON} letters or more; it is printed on the report."
            self.wrong(few if reason else "Give a reason; it is printed on the report.")
            return
        self.dismiss(reason)


@dataclass(frozen=True)
class Lookup:
    """What is looked up: the whole value, and whether it is an `accession` number or a `patient` ID."""

    kind: str
    value: str


class AskLookup(AskForm):
    """An accession number or a patient ID, one of them; gives `Lookup`."""

    TITLE_LINE = "Find by accession number or patient ID"
    ACCEPT = "Find"

    def fields(self) -> ComposeResult:
        """Two fields; one is filled."""
        yield Static(
            Text("The whole value as the images have it. It is looked up by its digest; the audit notes that you asked."),
            classes="say",
        )
        for name, title in (("accession", "Accession"), ("patient", "Patient ID")):
            with Horizontal(classes="row"):
                yield Label(title)
                yield Input(compact=True, id=name, max_length=64)

    def accept(self) -> None:
        """One value is needed."""
        given = {name: self.query_one(f"#{name}", Input).value.strip() for name in ("accession", "patient")}
        filled = [(kind, value) for kind, value in given.items() if value]
        if len(filled) != 1:
            self.wrong("Give one of the two.")
            return
        self.dismiss(Lookup(*filled[0]))


@dataclass(frozen=True)
class GivenMetadata:
    """Age as the API takes it (`063Y`), sex as F, M or O; empty where nothing was given."""

    age: str
    sex: str


class AskMetadata(AskForm):
    """Age and sex of a study whose header has none; gives `GivenMetadata`."""

    TITLE_LINE = "Age and sex"
    ACCEPT = "Save"

    def __init__(self, name: str) -> None:
        super().__init__()
        self._study = name

    def fields(self) -> ComposeResult:
        """Two fields."""
        yield Static(
            Text(f"Study {self._study}: what is given here is used instead of the DICOM header and runs QC again."),
            classes="say",
        )
        with Horizontal(classes="row"):
            yield Label("Age")
            yield Input(compact=True, id="age", placeholder="63 (years), or 063Y 018M 006W 010D", max_length=4)
        with Horizontal(classes="row"):
            yield Label("Sex")
            yield Input(compact=True, id="sex", placeholder="F, M or O", max_length=1)

    def accept(self) -> None:
        """At least one of the two, each in its form."""
        age = self.query_one("#age", Input).value.strip().upper()
        sex = self.query_one("#sex", Input).value.strip().upper()
        if not age and not sex:
            self.wrong("Give age, sex or both.")
        elif age and not _AGE.match(age):
            self.wrong("Age is a number of years, or digits with Y, M, W or D.")
        elif sex and sex not in {"F", "M", "O"}:
            self.wrong("Sex is F, M or O.")
        else:
            self.dismiss(GivenMetadata(age=age_string(age), sex=sex))


def age_string(age: str) -> str:
    """`63` -> `063Y`, `18m` -> `018M`, empty stays empty."""
    if not age:
        return ""
    unit = age[-1].upper() if age[-1].isalpha() else "Y"
    return f"{int(age.rstrip('YMWDymwd')):03d}{unit}"


class TextDialog(ModalScreen[None]):
    """A text to read; it scrolls."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,p,s", "dismiss(None)", "Close"),
    ]

    def __init__(self, title: str, text: RenderableType, *, wide: bool = False) -> None:
        super().__init__()
        self._title, self._text, self._wide = title, text, wide

    def compose(self) -> ComposeResult:
        """The text in a frame."""
        with Vertical(classes="dialog -wide" if self._wide else "dialog") as box:
            box.border_title = inert(self._title).replace("[", "(")
            box.border_subtitle = "Esc closes"
            if self._wide:
                with VerticalScroll():
                    yield Static(self._text)
            else:
                yield Static(self._text)


class CopyDialog(ModalScreen[None]):
    """Shows a text alone, for terminals that do not let programs write their clipboard."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,y,q", "dismiss(None)", "Close")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        """The text, and how to take it."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Copy by hand"
            box.border_subtitle = "Esc closes"
            yield Static(Text(self._text, "bold"), classes="say")
            yield Static(
                Text(
                    "Select it with the mouse while holding Shift (Option on macOS).\n"
                    "In tmux, `set -g set-clipboard on` lets y copy by itself.",
                    "dim",
                )
            )


class Pick(ModalScreen[str | None]):
    """One of a few; gives the one chosen."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", "Cancel")]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._title, self._choices = title, choices

    def compose(self) -> ComposeResult:
        """The choices."""
        with Vertical(classes="dialog -pick") as box:
            box.border_title = self._title
            box.border_subtitle = "Enter chooses, Esc cancels"
            yield OptionList(*(Option(Text(inert(label)), id=key) for key, label in self._choices), compact=True)

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option.id)
