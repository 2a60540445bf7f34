"""What is asked for a new group, and for the upload of a cohort."""

import re
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Input, Label, Static

from tui.inert import inert
from tui.screens.dialogs import AskForm

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ._\-]{0,39}$", re.ASCII)


@dataclass(frozen=True)
class NewGroup:
    """Name and products; no products means the default ones."""

    name: str
    products: tuple[str, ...]


class AskGroup(AskForm):
    """Name and products of a new group; gives `NewGroup`."""

    TITLE_LINE = "New group"
    ACCEPT = "Create"

    def fields(self) -> ComposeResult:
        """Two fields."""
        yield Static(
            Text("All studies of a group use the same products, in the versions that are installed now."), classes="say"
        )
        with Horizontal(classes="row"):
            yield Label("Name")
            yield Input(compact=True, id="name", placeholder="PARK-01", max_length=40)
        with Horizontal(classes="row"):
            yield Label("Products")
            yield Input(compact=True, id="products", placeholder="dti,dti-fw; empty: those of the settings", max_length=200)

    def accept(self) -> None:
        """The name has its form; the API knows the products."""
        name = self.query_one("#name", Input).value.strip()
        products = [one.strip() for one in self.query_one("#products", Input).value.split(",")]
        if not _NAME.match(name):
            self.wrong("Up to 40 letters, digits, spaces, points, hyphens and underscores; the first is a letter or digit.")
            return
        self.dismiss(NewGroup(name, tuple(one for one in products if one)))


def archives_in(place: Path) -> list[Path]:
    """The ZIP files of a folder by name, or the one that is named."""
    if place.is_file():
        return [place]
    return sorted(one for one in place.glob("*") if one.suffix.lower() == ".zip" and one.is_file())


class AskArchives(AskForm):
    """Where the ZIP files of a cohort lie on the machine of this console; gives their paths."""

    ACCEPT = "Upload"

    def __init__(self, group: str) -> None:
        super().__init__()
        self.TITLE_LINE = inert(f"Upload a cohort into {group}").replace("[", "(")  # type: ignore[misc]

    def fields(self) -> ComposeResult:
        """One field."""
        yield Static(
            Text(
                "A folder with one ZIP for each study, on the machine that runs this console. One that is refused is named "
                "with the reason and stops no other. You may leave this page meanwhile, not the console."
            ),
            classes="say",
        )
        with Horizontal(classes="row"):
            yield Label("Folder or ZIP")
            yield Input(compact=True, id="folder", max_length=1000)

    def accept(self) -> None:
        """There must be a ZIP file."""
        text = self.query_one("#folder", Input).value.strip()
        try:
            found = archives_in(Path(text).expanduser()) if text else []
        except (OSError, RuntimeError):
            found = []
        if not found:
            self.wrong("There is no ZIP file." if text else "Give a folder.")
            return
        self.dismiss(found)
