"""Accounts, sessions and API tokens: queries named by intent."""

from typing import Any

import msgspec
from piccolo.columns import Column

from appliance.records.engine import rows_of
from appliance.records.tables import ApiToken, Session, User


class Account(msgspec.Struct, kw_only=True, frozen=True):
    """A local account."""

    id: str
    name: str
    role: str
    password_hash: str = ""
    disabled: bool = False
    failures: int = 0
    locked_until: int = 0
    created_at: int = 0


class OpenSession(msgspec.Struct, kw_only=True, frozen=True):
    """A session as it stands in the records."""

    id: str
    user: str
    created_at: int
    seen_at: int
    expires_at: int
    revoked: bool
    kind: str = "session"


class Token(msgspec.Struct, kw_only=True, frozen=True):
    """An API token, without what it is."""

    id: str
    name: str
    role: str
    scopes: str
    created_by: str
    created_at: int
    expires_at: int
    revoked: bool


_ACCOUNT = [getattr(User, name) for name in Account.__struct_fields__]
_TOKEN = [getattr(ApiToken, name) for name in Token.__struct_fields__]
# Asked with every call, so as text: a third of what a query costs that is put together each time.
_TOKEN_BY_DIGEST = f"SELECT {', '.join(Token.__struct_fields__)} FROM api_tokens WHERE digest = {{}}"
_SESSION_AND_ACCOUNT = (
    "SELECT s.id AS session, s.user_id, s.created_at AS begun_at, s.seen_at, s.expires_at, s.revoked, s.kind, "
    + ", ".join(f"u.{name}" for name in Account.__struct_fields__)
    + " FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id = {}"
)


async def by_name(name: str) -> Account | None:
    """The account of that name, whatever its case."""
    row = await User.select(*_ACCOUNT).where(User.name == name.strip().lower()).first().run()
    return msgspec.convert(row, Account, strict=False) if row else None


async def by_id(user: str) -> Account | None:
    """The account with that identifier."""
    row = await User.select(*_ACCOUNT).where(User.id == user).first().run()
    return msgspec.convert(row, Account, strict=False) if row else None


async def everybody() -> list[Account]:
    """All accounts by name."""
    rows = await User.select(*_ACCOUNT).order_by(User.name).run()
    return [msgspec.convert(row, Account, strict=False) for row in rows]


async def add(account: Account) -> bool:
    """Stores a new account; false when the name is taken."""
    row = User(**{**msgspec.structs.asdict(account), "name": account.name.strip().lower()})
    added = await User.insert(row).on_conflict(target=User.name, action="DO NOTHING").returning(User.id).run()
    return bool(added)


async def put(account: Account) -> None:
    """Stores an account in place of the one with the same identifier, unlocked; every session of that one ends."""
    async with User._meta.db.transaction():
        if await by_id(account.id) is None:
            await User.insert(User(**msgspec.structs.asdict(account))).run()
            return
        values: dict[Column | str, Any] = {
            User.name: account.name,
            User.role: account.role,
            User.password_hash: account.password_hash,
            User.failures: 0,
            User.locked_until: 0,
            User.row_version: User.row_version + 1,
        }
        await User.update(values).where(User.id == account.id).run()
        await end_sessions(account.id)


async def set_password_hash(user: str, password_hash: str) -> None:
    """Replaces the password, unlocks the account and ends its sessions."""
    async with User._meta.db.transaction():
        values: dict[Column | str, Any] = {User.password_hash: password_hash, User.failures: 0, User.locked_until: 0}
        await User.update({**values, User.row_version: User.row_version + 1}).where(User.id == user).run()
        await end_sessions(user)


async def change(user: str, role: str, *, disabled: bool, uncounted: str) -> bool:
    """Gives an account a role, lets it in or not, and ends its sessions.

    False, and nothing is changed, when nobody would be left who signs in by password as an administrator; the account
    `uncounted` is no such one.
    """
    async with User._meta.db.transaction():
        # Two administrators who take each other's role at once: the second waits here, and then sees what the first did.
        await User.update({User.row_version: User.row_version + 1}).where(User.role == "admin").run()
        before = await by_id(user)
        leads = before is not None and before.role == "admin" and not before.disabled and bool(before.password_hash)
        if leads and (role != "admin" or disabled) and not await _others_lead([user, uncounted]):
            return False
        values: dict[Column | str, Any] = {User.role: role, User.disabled: disabled, User.row_version: User.row_version + 1}
        await User.update(values).where(User.id == user).run()
        await end_sessions(user)
    return True


async def _others_lead(but: list[str]) -> bool:
    by_password = (User.password_hash != "") & (User.disabled == False)  # noqa: E712 - a column, not a value
    return await User.exists().where(User.id.not_in(but) & (User.role == "admin") & by_password).run()


async def end_sessions(user: str) -> None:
    """Ends every session of an account."""
    await Session.update({Session.revoked: True}).where(Session.user == user).run()


async def swap_tries(account: Account, failures: int, locked_until: int) -> bool:
    """Writes new counts where the old ones still hold; false when somebody was faster."""
    same = (User.id == account.id) & (User.failures == account.failures) & (User.locked_until == account.locked_until)
    values: dict[Column | str, Any] = {User.failures: failures, User.locked_until: locked_until}
    return bool(await User.update(values).where(same).returning(User.id).run())


async def clear_tries(user: str) -> None:
    """Forgets the wrong passwords after a right one."""
    await User.update({User.failures: 0, User.locked_until: 0}).where(User.id == user).run()


async def second_factor(user: str) -> bytes:
    """The sealed second factor of an account; empty when it has none."""
    row = await User.select(User.totp).where(User.id == user).first().run()
    return bytes(row["totp"]) if row else b""


async def swap_second_factor(user: str, before: bytes, after: bytes) -> bool:
    """Replaces the sealed second factor where the old one still stands; false when somebody was faster."""
    same = (User.id == user) & (User.totp == before)
    return bool(await User.update({User.totp: after}).where(same).returning(User.id).run())


async def clear_second_factor(user: str) -> None:
    """Takes the second factor away."""
    await User.update({User.totp: b""}).where(User.id == user).run()


async def of_identity_provider(account: Account) -> Account:
    """The account of that name with the role that was just proven, made if it is new; a new role ends its open sessions."""
    await add(account)
    found = await by_name(account.name)
    if found is None:
        raise LookupError("an account that was just stored is gone")
    if found.role == account.role:
        return found
    async with User._meta.db.transaction():
        await User.update({User.role: account.role, User.row_version: User.row_version + 1}).where(User.id == found.id).run()
        await end_sessions(found.id)
    return msgspec.structs.replace(found, role=account.role)


async def add_session(
    session: str,
    user: str,
    address: str,
    now: int,
    expires_at: int,
    *,
    kind: str = "session",
    subject_key: str = "",
    subject: str = "",
) -> None:
    """Stores a session; of kind `portal` when it ends at a fixed time, of kind `saml` with whom it stands for elsewhere."""
    row = Session(id=session, user=user, created_at=now, seen_at=now, expires_at=expires_at, address=address[:64], kind=kind)
    row.subject_key, row.subject = subject_key, subject
    await Session.insert(row).run()


async def subject_of(session: str) -> str:
    """Whom a session stands for at the identity provider; empty for one that was opened here."""
    row = await Session.select(Session.subject).where(Session.id == session).first().run()
    return str(row["subject"]) if row else ""


async def revoke_subject(subject_key: str, index: str) -> int:
    """Ends the open sessions of somebody of the identity provider, of one index or (empty) all; gives how many."""
    open_ones = (Session.subject_key == subject_key) & (Session.revoked == False)  # noqa: E712 - a column, not a value
    rows = await Session.select(Session.id, Session.subject).where(open_ones).run()
    wanted = [row["id"] for row in rows if not index or msgspec.json.decode(row["subject"]).get("index") in ("", index)]
    if wanted:
        await Session.update({Session.revoked: True}).where(Session.id.is_in(wanted)).run()
    return len(wanted)


async def revoke_kinds(kinds: list[str]) -> None:
    """Ends every session of these kinds."""
    await Session.update({Session.revoked: True}).where(Session.kind.is_in(kinds)).run()


async def session_with_account(session: str) -> tuple[OpenSession, Account] | None:
    """A session and whose it is; None when either is gone."""
    rows = await rows_of(Session, _SESSION_AND_ACCOUNT, session)
    if not rows:
        return None
    row = rows[0]
    own = {**row, "id": row["session"], "user": row["user_id"], "created_at": row["begun_at"]}
    return msgspec.convert(own, OpenSession, strict=False), msgspec.convert(row, Account, strict=False)


async def extend_session(session: str, now: int, expires_at: int) -> None:
    """Notes that a session was used."""
    values: dict[Column | str, Any] = {Session.seen_at: now, Session.expires_at: expires_at}
    await Session.update(values).where(Session.id == session).run()


async def revoke_session(session: str) -> None:
    """Ends a session."""
    await Session.update({Session.revoked: True}).where(Session.id == session).run()


async def revoke_other_sessions(user: str, kept: str) -> None:
    """Ends every session of an account but one."""
    await Session.update({Session.revoked: True}).where((Session.user == user) & (Session.id != kept)).run()


async def forget_old_sessions(before: int) -> None:
    """Deletes sessions that ended before a moment."""
    await Session.delete().where(Session.expires_at < before).run()


async def add_token(token: Token, digest: str) -> None:
    """Stores a token by its digest."""
    await ApiToken.insert(ApiToken(**msgspec.structs.asdict(token), digest=digest)).run()


async def token_by_digest(digest: str) -> Token | None:
    """The token with that digest."""
    rows = await rows_of(ApiToken, _TOKEN_BY_DIGEST, digest)
    return msgspec.convert(rows[0], Token, strict=False) if rows else None


async def token_by_id(token: str) -> Token | None:
    """The token with that identifier."""
    row = await ApiToken.select(*_TOKEN).where(ApiToken.id == token).first().run()
    return msgspec.convert(row, Token, strict=False) if row else None


async def tokens() -> list[Token]:
    """All tokens, newest first."""
    rows = await ApiToken.select(*_TOKEN).order_by(ApiToken.created_at, ascending=False).run()
    return [msgspec.convert(row, Token, strict=False) for row in rows]


async def revoke_token(token: str) -> bool:
    """Ends a token; false when there is none."""
    return bool(await ApiToken.update({ApiToken.revoked: True}).where(ApiToken.id == token).returning(ApiToken.id).run())
