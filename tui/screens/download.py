"""Saving a report on the machine that runs the console."""

from pathlib import Path
from typing import TYPE_CHECKING

from tui.messages import Went, WentWrong
from tui.saving import save
from tui.screens.dialogs import Pick
from tui.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tui.screens.page import Page

TITLES = {
    "pdf": "PDF, to print",
    "txt": "TXT, to read",
    "json": "JSON, for programs",
    "xml": "XML, for programs",
    "png": "PNG, a picture",
    "csv": "CSV, the feature vector for tables",
    "dicom-csv": "DICOM CSV, coded measurements",
    "fhir": "FHIR R4 bundle",
}


def offer(page: "Page", address: str, formats: "Sequence[str]", titles: "Mapping[str, str]" = TITLES) -> None:
    """Asks for the format of the report at an address, then saves into the folder that the console was started in."""

    def chosen(kind: str | None) -> None:
        if kind:
            page.run_worker(_save(page, f"{address}/{kind}"), group="download")

    choices = [(kind, titles.get(kind, kind.upper())) for kind in formats or ("pdf", "txt", "json", "png")]
    page.app.push_screen(Pick("Download report", choices), chosen)


async def _save(page: "Page", address: str) -> None:
    try:
        file = await page.console.client.download(address)
        path = save(Path.cwd() / file.name, file.content)
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))
        return
    page.post_message(Went(f"Saved {path}"))
