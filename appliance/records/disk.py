"""Free space of the data disk over time."""

import msgspec

from appliance.records.engine import Records
from appliance.records.tables import DiskSample

KEPT_MS = 28 * 86_400_000


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """Free and total bytes at a moment."""

    at: int
    free: int
    total: int


async def note(records: Records, sample: Sample) -> None:
    """Keeps a sample, and forgets those older than four weeks."""
    await (
        DiskSample.insert(DiskSample(**msgspec.structs.asdict(sample)))
        .on_conflict(target=DiskSample.at, action="DO NOTHING")
        .run()
    )
    await records.run("DELETE FROM disk_samples WHERE at < {}", sample.at - KEPT_MS)


async def samples() -> list[Sample]:
    """All samples that are kept, oldest first."""
    rows = await DiskSample.select().order_by(DiskSample.at).run()
    return [msgspec.convert(row, Sample) for row in rows]
