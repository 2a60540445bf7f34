"""The tables. Migrations only add; filters use real columns, JSON text is payload.

All times are milliseconds UTC (`appliance.moments`), all identifiers UUIDv7 text of ours. Patient values stand in `Identity`
alone, sealed by `appliance.keys`; UIDs and patient identifiers elsewhere are keyed digests (`Keys.digest`), good for finding
and for nothing else.
"""

from piccolo.columns import BigInt, BigSerial, Boolean, Bytea, Integer, Text, Varchar
from piccolo.table import Table

from appliance.records.cloud_tables import CloudOrder
from appliance.records.cohort_tables import COHORT_TABLES
from appliance.records.hub_tables import HUB_TABLES
from appliance.records.retrieval_tables import Commitment, Completeness, Drop, DropStudy, Pull
from appliance.records.task_tables import Erasure, TaskResult, TaskRun
from appliance.records.upload_tables import UPLOAD_TABLES


class Study(Table, tablename="studies"):
    """One study in its newest version."""

    id = Varchar(36, primary_key=True)
    version = Integer(default=1)
    state = Varchar(16, index=True)
    uid_key = Varchar(32, unique=True, index=True)
    pseudonym = Varchar(32, index=True, default="")
    sender = Varchar(64, default="")
    address = Varchar(64, default="")
    origin = Varchar(16, default="dicom")
    instances = Integer(default=0)
    series = Integer(default=0)
    bytes = BigInt(default=0)
    first_at = BigInt(index=True)
    last_at = BigInt(index=True)
    stable_at = BigInt(null=True, default=None)
    reason = Varchar(64, default="")
    conflicts = Integer(default=0)
    priority = Integer(default=0)
    product_tag = Text(default="")
    labels = Text(default="[]")
    workflow_status = Varchar(32, default="")
    group_name = Varchar(64, default="", index=True)
    row_version = Integer(default=1)


class StudyListed(Table, tablename="study_list"):
    """The newest order of a study, what the list shows as its state, and all that it shows of it; triggers keep it."""

    study = Varchar(36, primary_key=True)
    order = Varchar(36, default="", db_column_name="order_id")
    shown = Varchar(16, default="")
    flagged = Boolean(default=False)
    first_at = BigInt(default=0)
    line = Text(default="")


class StudyText(Table, tablename="study_texts"):
    """What a study can be found by, in small letters: no patient's value among it; triggers keep it."""

    nr = BigSerial(primary_key=True)
    study = Varchar(36, unique=True)
    body = Text(default="")


class Series(Table, tablename="series"):
    """One series of a study; `label` is its description without anything that names the patient."""

    id = Varchar(36, primary_key=True)
    study = Varchar(36, index=True)
    uid_key = Varchar(32, index=True)
    number = Integer(default=0)
    modality = Varchar(16, default="")
    label = Varchar(128, default="")
    sop_class = Varchar(64, default="")
    transfer_syntax = Varchar(64, default="")
    instances = Integer(default=0)


class Instance(Table, tablename="instances"):
    """One DICOM instance as it came; `path` is below the storage root."""

    id = Varchar(36, primary_key=True)
    study = Varchar(36, index=True)
    series = Varchar(36, index=True)
    version = Integer(default=1)
    sop_key = Varchar(32, index=True)
    sop_class = Varchar(64, default="")
    transfer_syntax = Varchar(64, default="")
    content_hash = Varchar(64, default="")
    bytes = BigInt(default=0)
    path = Varchar(255)
    conflict = Boolean(default=False)
    sender = Varchar(64, default="")
    received_at = BigInt(default=0)


class Identity(Table, tablename="identities"):
    """The only place of patient values: one sealed JSON object per study, its sealed linking table, and what is sought."""

    study = Varchar(36, primary_key=True)
    sealed = Bytea()
    linking = Bytea(default=b"")
    sought = Bytea(default=b"")
    patient_key = Varchar(32, index=True, default="")
    accession_key = Varchar(32, index=True, default="")


class Activity(Table, tablename="activities"):
    """An open association or upload that may still bring instances of a study."""

    id = Varchar(36, primary_key=True)
    kind = Varchar(16)
    process = Varchar(64, index=True)
    study = Varchar(36, index=True, default="")
    sender = Varchar(64, default="")
    opened_at = BigInt()
    seen_at = BigInt()


class Order(Table, tablename="orders"):
    """A study plus the products to run on it and the state of that work. Only `appliance.pipeline` writes `state`."""

    id = Varchar(36, primary_key=True)
    study = Varchar(36, index=True)
    study_version = Integer(default=1)
    state = Varchar(16, index=True)
    code = Varchar(64, default="")
    detail = Text(default="")
    products = Varchar(255, default="")
    priority = Integer(default=0)
    group_name = Varchar(64, default="", index=True)
    owner = Varchar(64, default="")
    qc_verdict = Varchar(16, default="")
    qc_report = Text(default="")
    qc_asked = Integer(default=0)
    qc_failed = Integer(default=0)
    bypass_by = Varchar(64, default="")
    bypass_reason = Text(default="")
    metadata = Text(default="{}")
    age_years = Integer(null=True, default=None)
    inputs = Text(default="{}")
    passport = Text(default="")
    stage = Varchar(32, default="")
    step = Varchar(64, default="")
    percent = Integer(default=0)
    worker = Varchar(64, default="")
    attempt = Integer(default=0)
    lease_until = BigInt(default=0, index=True)
    not_before = BigInt(default=0)
    failures = Integer(default=0)
    delivery_failed = Boolean(default=False)
    cancel_asked = Boolean(default=False)
    idempotency_key = Varchar(64, default="", index=True)
    created_at = BigInt(index=True)
    updated_at = BigInt(index=True)
    row_version = Integer(default=1)


class ProductRun(Table, tablename="product_runs"):
    """One product's run on an order."""

    id = Varchar(36, primary_key=True)
    order = Varchar(36, index=True, db_column_name="order_id")
    product = Varchar(64)
    product_version = Varchar(32, default="")
    state = Varchar(16)
    attempt = Integer(default=0)
    code = Varchar(64, default="")
    detail = Text(default="")
    result = Text(default="")
    started_at = BigInt(null=True, default=None)
    ended_at = BigInt(null=True, default=None)


class Report(Table, tablename="reports"):
    """One report (or failure report) of an order; a corrected one has the next version and names what it supersedes."""

    id = Varchar(36, primary_key=True)
    order = Varchar(36, index=True, db_column_name="order_id")
    kind = Varchar(16, default="report")
    version = Integer(default=1)
    supersedes = Varchar(36, default="")
    content = Text(default="")
    formats = Varchar(255, default="")
    folder = Varchar(255, default="")
    searched = Text(default="{}")
    created_at = BigInt(index=True)


class Delivery(Table, tablename="deliveries"):
    """One report on its way to one destination."""

    id = Varchar(36, primary_key=True)
    report = Varchar(36, index=True)
    order = Varchar(36, index=True, db_column_name="order_id")
    destination = Varchar(64)
    state = Varchar(24, index=True)
    attempt = Integer(default=0)
    answer = Text(default="")
    idempotency_key = Varchar(64, default="")
    sop_instance_uid = Varchar(64, default="")
    worker = Varchar(64, default="")
    lease_until = BigInt(default=0)
    not_before = BigInt(default=0)
    created_at = BigInt()
    sent_at = BigInt(null=True, default=None)
    transaction_uid = Varchar(64, default="", index=True)
    asked_at = BigInt(default=0)
    commitment = Integer(default=-1)
    warned = Boolean(default=False)


class EventRow(Table, tablename="events"):
    """One event; `seq` is the id of the live stream."""

    seq = BigSerial(primary_key=True)
    at = BigInt(index=True)
    name = Varchar(48, index=True)
    severity = Varchar(8)
    study = Varchar(36, index=True, default="")
    order = Varchar(36, index=True, default="", db_column_name="order_id")
    body = Text(default="{}")


class AuditRow(Table, tablename="audit"):
    """Who did what on what, from where, with which result; each row's hash covers the one before."""

    seq = BigSerial(primary_key=True)
    at = BigInt(index=True)
    actor = Varchar(64, index=True)
    action = Varchar(48, index=True)
    target = Varchar(128, default="")
    origin = Varchar(64, default="")
    result = Varchar(32, default="")
    detail = Text(default="")
    hash = Varchar(64)


class AuditSent(Table, tablename="audit_sent"):
    """How much of the audit a syslog server has taken."""

    destination = Varchar(300, primary_key=True)
    seq = BigInt(default=0)
    at = BigInt(default=0)
    failing_since = BigInt(default=0)
    detail = Varchar(255, default="")


class SettingsRow(Table, tablename="settings"):
    """One saved version of all settings, secrets sealed; the highest is in force."""

    version = Integer(primary_key=True)
    document = Text()
    saved_at = BigInt()
    saved_by = Varchar(64)


class User(Table, tablename="users"):
    """A local account."""

    id = Varchar(36, primary_key=True)
    name = Varchar(64, unique=True, index=True)
    role = Varchar(16)
    password_hash = Varchar(255, default="")
    totp = Bytea(default=b"")
    disabled = Boolean(default=False)
    failures = Integer(default=0)
    locked_until = BigInt(default=0)
    created_at = BigInt()
    row_version = Integer(default=1)


class Session(Table, tablename="sessions"):
    """A signed-in user; the cookie carries only this id and an expiry."""

    id = Varchar(36, primary_key=True)
    user = Varchar(36, index=True, db_column_name="user_id")
    kind = Varchar(16, default="session")
    created_at = BigInt()
    seen_at = BigInt()
    expires_at = BigInt()
    address = Varchar(64, default="")
    revoked = Boolean(default=False)
    subject_key = Varchar(64, default="", index=True)
    subject = Text(default="")


class SingleUse(Table, tablename="single_use"):
    """What counts once: a request that waits for its answer, an assertion that was used, a code that is handed over."""

    key = Varchar(64, primary_key=True)
    kind = Varchar(16, default="")
    until = BigInt(default=0, index=True)
    body = Text(default="")


class ApiToken(Table, tablename="api_tokens"):
    """A machine's token: only its digest is kept."""

    id = Varchar(36, primary_key=True)
    name = Varchar(64)
    digest = Varchar(64, unique=True, index=True)
    role = Varchar(16)
    scopes = Varchar(255, default="")
    created_by = Varchar(64, default="")
    created_at = BigInt()
    expires_at = BigInt(default=0)
    revoked = Boolean(default=False)


class StageTime(Table, tablename="stage_times"):
    """How long a stage takes here, from those that ended well; what it depends on is part of its name (`product/dti`)."""

    stage = Varchar(96, primary_key=True)
    runs = Integer(default=0)
    mean_ms = BigInt(default=0)


class ProcessRow(Table, tablename="processes"):
    """A running process of the appliance, by heartbeat."""

    id = Varchar(64, primary_key=True)
    kind = Varchar(16)
    pid = Integer()
    host = Varchar(64, default="")
    started_at = BigInt()
    seen_at = BigInt()
    note = Varchar(255, default="")


class SenderSeen(Table, tablename="senders"):
    """A calling AE title that has sent, and how long it pauses within a study: number of pauses by their length in seconds."""

    sender = Varchar(16, primary_key=True)
    address = Varchar(64, default="")
    studies = Integer(default=0)
    instances = BigInt(default=0)
    pauses = Text(default="{}")
    first_at = BigInt(default=0)
    last_at = BigInt(default=0)


class DiskSample(Table, tablename="disk_samples"):
    """Free space of the data disk at a moment."""

    at = BigInt(primary_key=True)
    free = BigInt()
    total = BigInt()


TABLES: tuple[type[Table], ...] = (
    Study,
    StudyListed,
    StudyText,
    Series,
    Instance,
    Identity,
    Activity,
    Order,
    ProductRun,
    Report,
    Delivery,
    EventRow,
    AuditRow,
    AuditSent,
    SettingsRow,
    User,
    Session,
    SingleUse,
    ApiToken,
    StageTime,
    TaskRun,
    TaskResult,
    Erasure,
    ProcessRow,
    SenderSeen,
    DiskSample,
    Commitment,
    Pull,
    Completeness,
    *COHORT_TABLES,
    Drop,
    DropStudy,
    *HUB_TABLES,
    *UPLOAD_TABLES,
    CloudOrder,
)
