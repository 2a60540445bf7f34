"""The tables of the hub."""

from piccolo.columns import BigInt, Boolean, Bytea, Integer, Text, Varchar
from piccolo.table import Table


class HubSession(Table, tablename="hub_sessions"):
    """One connected client: whose API key, and the session's own key, sealed."""

    id = Varchar(36, primary_key=True)
    token = Varchar(36)
    sealed = Bytea(default=b"")
    expires_at = BigInt(index=True)


class HubOrder(Table, tablename="hub_orders"):
    """One order as a client sees it; `order` is ours, empty until it was opened."""

    id = Varchar(36, primary_key=True)
    token = Varchar(36, index=True)
    uid_key = Varchar(32, index=True, default="")
    sop_keys = Text(default="[]")
    bytes = BigInt(default=0)
    complete = Boolean(default=False)
    product = Varchar(64, default="")
    order = Varchar(36, default="", db_column_name="order_id")
    refused = Varchar(255, default="")
    qc_report = Text(default="")
    created_at = BigInt(index=True)
    asked_at = BigInt(default=0, index=True)


class HubUpload(Table, tablename="hub_uploads"):
    """One ZIP on its way in."""

    id = Varchar(36, primary_key=True)
    hub_order = Varchar(36, index=True)
    zip_index = Integer(default=0)
    done = Boolean(default=False)
    created_at = BigInt()


HUB_TABLES: tuple[type[Table], ...] = (HubSession, HubOrder, HubUpload)
