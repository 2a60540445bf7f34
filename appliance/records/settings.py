"""Saved settings: every version stays."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from appliance.records.tables import SettingsRow


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """One saved version; secrets in `document` are sealed."""

    version: int
    document: str
    saved_at: int
    saved_by: str


def transaction() -> AbstractAsyncContextManager[Any]:
    """One transaction of the database the tables are bound to."""
    opened: AbstractAsyncContextManager[Any] = SettingsRow._meta.db.transaction()
    return opened


async def newest() -> Saved | None:
    """The version in force."""
    row = await SettingsRow.select().order_by(SettingsRow.version, ascending=False).first().run()
    return msgspec.convert(row, Saved) if row else None


async def one(version: int) -> Saved | None:
    """One version."""
    row = await SettingsRow.select().where(SettingsRow.version == version).first().run()
    return msgspec.convert(row, Saved) if row else None


async def history(limit: int = 50) -> list[Saved]:
    """The newest versions, newest first."""
    rows = await SettingsRow.select().order_by(SettingsRow.version, ascending=False).limit(limit).run()
    return [msgspec.convert(row, Saved) for row in rows]


async def add(version: int, document: str, now: int, actor: str) -> None:
    """Stores a version; the primary key refuses a second one with the same number."""
    await SettingsRow.insert(SettingsRow(version=version, document=document, saved_at=now, saved_by=actor)).run()
