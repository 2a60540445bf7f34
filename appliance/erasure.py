"""What a deletion must reach outside its own rows and folders: outgoing folders, group reports, log lines."""

import asyncio
import contextlib
import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

import msgspec

from appliance.house import House
from appliance.logs import blanking
from appliance.receive import drop
from appliance.records import groups, removal
from appliance.reports import cohort_blank
from appliance.reports.cohort_content import EXTENSIONS
from appliance.storage import write_durable

_PAGES = ("pdf", "png")


async def outgoing(house: House, orders: Sequence[str], drops: Sequence[str] = ()) -> None:
    """Takes reports, receipts and rows of the table out of the outgoing folders of the watched ones.

    A folder that is away keeps what it has: the share's owner deletes it.
    """
    for section in (await house.settings()).settings.drops.folders:
        place = Path(section.folder) / drop.OUTGOING
        await asyncio.to_thread(_take_out, place, orders, drops)


def _take_out(place: Path, orders: Sequence[str], drops: Sequence[str]) -> None:
    with contextlib.suppress(OSError):
        for name in [f"receipt_{one}.json" for one in drops]:
            (place / name).unlink(missing_ok=True)
        for order in orders:
            for file in place.glob(f"*{order}_*"):
                file.unlink(missing_ok=True)
        table = place / "results.csv"
        if table.is_file():
            lines = table.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not any(order.encode() in line for order in orders)]
            if len(kept) < len(lines):
                write_durable(table, b"".join(kept), 0o644)


async def group_reports(house: House, study: str, gone: Collection[str]) -> None:
    """Takes a study's identifiers out of the tables of group reports, and the pages that name it away; its numbers stay."""
    for row in await groups.every_report():
        folder = house.storage.absolute(row.folder)
        found = await asyncio.to_thread(_blank_table, folder / f"{row.stem}.csv", study, gone)
        if found is None:
            continue
        named, digest = found
        lost = _PAGES if named else ()
        for kind in lost:
            (folder / f"{row.stem}.{EXTENSIONS[kind]}").unlink(missing_ok=True)
        # A table that lost words holds nothing that was not looked through before.
        searched = msgspec.json.decode(row.searched, type=dict[str, str]) | {"csv": digest}
        kept = [one for one in row.format_list if one not in lost]
        await groups.keep_formats(house.records, row.id, kept, msgspec.json.encode(searched).decode())


def _blank_table(table: Path, study: str, gone: Collection[str]) -> tuple[bool, str] | None:
    """Whether its page names the study, and the table's new digest; None when the table does not hold it."""
    try:
        content = table.read_bytes()
    except OSError:
        return None
    if not any(one.encode() in content for one in gone):
        return None
    named, bare = cohort_blank.is_named(content, study), cohort_blank.without(content, gone)
    write_durable(table, bare)
    return named, hashlib.sha256(bare).hexdigest()


async def log_lines(house: House) -> int:
    """Writes zeros over the identifiers of what was deleted in all log files; gives how many places."""
    wanted = await removal.still_to_blank(house.records)
    if not wanted:
        return 0
    count = await asyncio.to_thread(blanking.blank, house.home, wanted)
    await removal.blanked(house.records, wanted)
    return count
