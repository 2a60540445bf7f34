"""Orders at the cloud: how far each product run has come there."""

from collections.abc import Sequence
from typing import Any

import msgspec

from appliance.records.cloud_tables import CloudOrder


class CloudRow(msgspec.Struct, kw_only=True, frozen=True):
    """One product run at the cloud."""

    id: str
    remote: str
    """The cloud's identifier; empty before it gave one."""
    sent: int
    """ZIPs that are complete there."""
    upload: str
    """The ZIP that was put but not completed, and its ETag."""
    etag: str
    started: bool
    created_at: int


async def of_order(order: str) -> list[CloudRow]:
    """The runs of an order at the cloud."""
    rows = await CloudOrder.select().where(CloudOrder.order == order).order_by(CloudOrder.id).run()
    return [msgspec.convert(row, CloudRow, strict=False) for row in rows]


async def begin(order: str, runs: Sequence[str], now: int) -> None:
    """These runs are made at the cloud from their beginning; what an earlier attempt had there is forgotten."""
    await forget(order)
    if runs:
        await CloudOrder.insert(*(CloudOrder(id=one, order=order, created_at=now) for one in runs)).run()


async def forget(order: str) -> None:
    """This order is not at the cloud."""
    await CloudOrder.delete().where(CloudOrder.order == order).run()


async def change(run: str, **changes: Any) -> None:
    """Notes how far a run has come; the caller holds its order's lease in the same transaction."""
    await (
        CloudOrder.update({getattr(CloudOrder, name): value for name, value in changes.items()})
        .where(CloudOrder.id == run)
        .run()
    )
