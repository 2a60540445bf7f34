"""What the detail does with quality control besides showing it: pictures, and consent to the repair of a gradient table."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tui.contract import OrderView, QcReport, Repair, tail
from tui.messages import Went, WentWrong
from tui.saving import save
from tui.screens.dialogs import Confirm, Pick
from tui.trouble import Trouble

if TYPE_CHECKING:
    from tui.client import Client
    from tui.screens.page import Page

SHOWN = frozenset({"warning", "failed"})
"""Whose pictures stand below the finding; those of passed checks are saved and looked at outside."""

_ALL = "*"


async def pictures(client: "Client", report: QcReport, known: dict[str, bytes]) -> dict[str, bytes]:
    """The pictures of the findings that are no pass, by their address; those known are not fetched again."""
    found = {}
    for finding in report.findings:
        if finding.picture and finding.verdict in SHOWN:
            try:
                found[finding.picture] = known.get(finding.picture) or (await client.download(finding.picture)).content
            except Trouble:
                # A picture that is gone takes nothing from the findings, which are shown without it.
                continue
    return found


def offer_pictures(page: "Page", report: QcReport) -> None:
    """Asks which picture, then saves it into the folder that the console was started in."""
    with_picture = [one for one in report.findings if one.picture]

    def chosen(address: str | None) -> None:
        if address:
            wanted = [one.picture for one in with_picture] if address == _ALL else [address]
            page.run_worker(_save(page, wanted), group="download")

    choices = [(one.picture, f"{one.title} ({one.verdict})") for one in with_picture]
    page.app.push_screen(Pick("Save a picture (PNG)", [(_ALL, f"All {len(choices)}"), *choices]), chosen)


async def _save(page: "Page", addresses: Sequence[str]) -> None:
    try:
        for address in addresses:
            file = await page.console.client.download(address)
            path = save(Path.cwd() / file.name, file.content)
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))
        return
    page.post_message(Went(f"Saved {path}" if len(addresses) == 1 else f"Saved {len(addresses)} pictures in {path.parent}"))


def proposed(report: QcReport) -> list[Repair]:
    """The repairs that nobody has agreed to yet."""
    return [one for one in report.repairs if not one.consent]


def ask_repair(page: "Page", order: str, ended: bool, report: QcReport) -> None:
    """Asks for consent to all proposed repairs of an order and sends it."""
    wrong = "; ".join(
        f"series {one.number}: {one.words} (fibres run on {one.before:g} before, {one.after:g} after)"
        for one in proposed(report)
    )
    effect = (
        f"{wrong}. The analysis uses the repaired table; the images stay as they were received, and the report says what "
        f"was changed and that you agreed. {'A new order is opened for it.' if ended else 'Quality control runs again.'}"
    )

    def answered(yes: bool | None) -> None:
        if yes:
            page.run_worker(_repair(page, order), group="repair")

    page.app.push_screen(Confirm("Repair the gradient table?", effect, "Repair for the analysis"), answered)


async def _repair(page: "Page", order: str) -> None:
    try:
        carrier = await page.console.client.post(f"/api/orders/{order}/repair-gradients", OrderView)
    except Trouble as trouble:
        page.post_message(WentWrong(trouble))
        return
    page.post_message(Went(f"Repair agreed; order {tail(carrier.order)} goes on"))
