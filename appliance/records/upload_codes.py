"""Upload codes: what opens the upload page for people without an account."""

from typing import Any

import msgspec

from appliance.errors import Unknown
from appliance.records.engine import Records
from appliance.records.upload_tables import UploadCode


class CodeRow(msgspec.Struct, kw_only=True, frozen=True):
    """One code as it stands in the records; the code itself is not there."""

    id: str
    source: str
    phone: str
    email: str
    products: str
    most: int
    used: int
    expires_at: int
    revoked: bool
    created_by: str
    created_at: int

    def opens(self, now: int) -> bool:
        """Whether it lets somebody begin a submission."""
        return not self.revoked and self.used < self.most and now < self.expires_at


def _row(found: dict[str, Any]) -> CodeRow:
    return msgspec.convert({name: found[name] for name in CodeRow.__struct_fields__}, CodeRow, strict=False)


async def add(row: CodeRow, digest: str) -> None:
    """Keeps a new code, as a digest."""
    await UploadCode.insert(UploadCode(digest=digest, **msgspec.structs.asdict(row))).run()


async def by_digest(digest: str) -> CodeRow | None:
    """The code with this digest."""
    found = await UploadCode.select().where(UploadCode.digest == digest).first().run()
    return _row(found) if found else None


async def get(code: str) -> CodeRow:
    """One code by our identifier; raises `Unknown`."""
    found = await UploadCode.select().where(UploadCode.id == code).first().run()
    if found is None:
        raise Unknown(kind="upload code")
    return _row(found)


async def newest(limit: int) -> list[CodeRow]:
    """The codes that were made last."""
    return [_row(one) for one in await UploadCode.select().order_by(UploadCode.id, ascending=False).limit(limit).run()]


async def use(records: Records, code: str, now: int) -> bool:
    """Counts one finished submission; false when the code had none left. To be called in its transaction."""
    statement = (
        "UPDATE upload_codes SET used = used + 1 WHERE id = {} AND used < most AND revoked = {} AND expires_at > {} "
        "RETURNING id"
    )
    return bool(await records.run(statement, code, False, now))


async def revoke(records: Records, code: str) -> None:
    """Ends a code; raises `Unknown`."""
    if not await records.run("UPDATE upload_codes SET revoked = {} WHERE id = {} RETURNING id", True, code):
        raise Unknown(kind="upload code")
