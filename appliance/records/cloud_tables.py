"""What the cloud has of our orders."""

from piccolo.columns import BigInt, Boolean, Integer, Varchar
from piccolo.table import Table


class CloudOrder(Table, tablename="cloud_orders"):
    """One product run at the cloud; its id is that of the run."""

    id = Varchar(36, primary_key=True)
    order = Varchar(36, index=True, db_column_name="order_id")
    remote = Varchar(64, default="")
    sent = Integer(default=0)
    upload = Varchar(128, default="")
    etag = Varchar(128, default="")
    started = Boolean(default=False)
    created_at = BigInt()
