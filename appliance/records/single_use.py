"""Things that count once: requests that wait for their answer, assertions that were used, codes that are handed over."""

from typing import Literal

from appliance.records.tables import SingleUse

Kind = Literal["saml-request", "saml-assertion", "saml-logout", "sign-in-code"]


async def put(kind: Kind, key: str, until: int, body: str = "") -> bool:
    """Notes a key until a moment (milliseconds); false when it is there already, however many ask at once."""
    row = SingleUse(key=key, kind=kind, until=until, body=body)
    return bool(
        await SingleUse.insert(row).on_conflict(target=SingleUse.key, action="DO NOTHING").returning(SingleUse.key).run()
    )


async def take(kind: Kind, key: str, now: int) -> str | None:
    """Takes a key away and gives its body; None when there is none, when it was taken before, or when its time is over."""
    found = (
        await SingleUse.delete()
        .where((SingleUse.key == key) & (SingleUse.kind == kind))
        .returning(SingleUse.until, SingleUse.body)
        .run()
    )
    return str(found[0]["body"]) if found and found[0]["until"] > now else None


async def forget(before: int) -> None:
    """Deletes what is over."""
    await SingleUse.delete().where(SingleUse.until <= before).run()
