"""The tables of query and retrieve, of storage commitment, and of watched folders."""

from piccolo.columns import BigInt, Boolean, Bytea, Integer, Text, Varchar
from piccolo.table import Table


class Pull(Table, tablename="pulls"):
    """One retrieval from a PACS node; what is wanted stands sealed, because UIDs of other systems name a patient there."""

    id = Varchar(36, primary_key=True)
    node = Varchar(40)
    state = Varchar(16, index=True)
    reason = Varchar(16, default="")
    sealed = Bytea(default=b"")
    uid_key = Varchar(32, index=True, default="")
    level = Varchar(8, default="STUDY")
    remaining = Integer(null=True, default=None)
    completed = Integer(default=0)
    failed = Integer(default=0)
    warnings = Integer(default=0)
    attempt = Integer(default=0)
    detail = Text(default="")
    owner = Varchar(64, default="")
    cancel_asked = Boolean(default=False)
    worker = Varchar(64, default="")
    lease_until = BigInt(default=0)
    not_before = BigInt(default=0)
    idempotency_key = Varchar(64, default="", index=True)
    created_at = BigInt(index=True)
    ended_at = BigInt(null=True, default=None)


class Completeness(Table, tablename="completeness"):
    """What the source of a study said that the study holds, and how much of it is here; `row_version` is the study's then."""

    study = Varchar(36, primary_key=True)
    node = Varchar(40)
    state = Varchar(16)
    row_version = Integer(default=0)
    expected = Integer(null=True, default=None)
    held = Integer(default=0)
    missing = Integer(default=0)
    pulls = Integer(default=0)
    detail = Text(default="")
    asked_at = BigInt()


class Drop(Table, tablename="drops"):
    """What was put into a watched folder; the name it had there stands sealed, because people name files after patients."""

    id = Varchar(36, primary_key=True)
    folder = Varchar(40, index=True)
    state = Varchar(16, index=True)
    sealed = Bytea(default=b"")
    stored = Integer(default=0)
    left_out = Integer(default=0)
    detail = Text(default="")
    attempt = Integer(default=0)
    not_before = BigInt(default=0)
    created_at = BigInt(index=True)
    ended_at = BigInt(null=True, default=None)


class DropStudy(Table, tablename="drop_studies"):
    """A study that a drop brought instances of, by the digest of its UID."""

    id = Varchar(36, primary_key=True)
    drop_id = Varchar(36, index=True)
    folder = Varchar(40)
    uid_key = Varchar(32, index=True)


class Commitment(Table, tablename="commitments"):
    """A request of storage commitment whose result was not taken yet."""

    id = Varchar(36, primary_key=True)
    sender = Varchar(16)
    association = Varchar(36, default="")
    sealed = Bytea()
    tries = Integer(default=0)
    asked_at = BigInt()
    next_at = BigInt()
