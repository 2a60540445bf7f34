"""The tables of uploads: codes, submissions, the bytes on their way, what studies came of them, and their documents."""

from piccolo.columns import BigInt, Boolean, Bytea, Integer, Text, Varchar
from piccolo.table import Table


class UploadCode(Table, tablename="upload_codes"):
    """What opens the upload page for people without an account; the code itself is kept as a digest only."""

    id = Varchar(36, primary_key=True)
    digest = Varchar(32, unique=True, index=True)
    source = Varchar(64, default="")
    phone = Varchar(40, default="")
    email = Varchar(120, default="")
    products = Varchar(255, default="")
    most = Integer(default=1)
    used = Integer(default=0)
    expires_at = BigInt(default=0)
    revoked = Boolean(default=False)
    created_by = Varchar(64, default="")
    created_at = BigInt(index=True)


class Submission(Table, tablename="submissions"):
    """What somebody hands in at once; contact, comments and names of files stand sealed."""

    id = Varchar(36, primary_key=True)
    reference = Varchar(16, unique=True, index=True)
    code = Varchar(36, index=True, default="")
    source = Varchar(64, default="")
    owner = Varchar(64, index=True, default="")
    address = Varchar(64, default="")
    state = Varchar(16, index=True)
    products = Varchar(255, default="")
    sealed = Bytea(default=b"")
    consent = Text(default="")
    reason = Varchar(64, default="")
    detail = Text(default="")
    scanned = Varchar(16, default="")
    dicom = Integer(default=0)
    documents = Integer(default=0)
    left_out = Integer(default=0)
    unreadable = Integer(default=0)
    patients = Integer(default=0)
    attempt = Integer(default=0)
    not_before = BigInt(default=0)
    created_at = BigInt(index=True)
    seen_at = BigInt(default=0)
    sent_at = BigInt(null=True, default=None)
    ended_at = BigInt(null=True, default=None)


class Upload(Table, tablename="uploads"):
    """One file on its way (tus); how much of it is here is the size of its file."""

    id = Varchar(36, primary_key=True)
    submission = Varchar(36, index=True)
    length = BigInt()
    whole = Boolean(default=False)
    created_at = BigInt()


class SubmissionStudy(Table, tablename="submission_studies"):
    """A study of a submission, noted before it is brought in; the numbers that it had where it came from stand sealed."""

    id = Varchar(36, primary_key=True)
    submission = Varchar(36, index=True)
    uid_key = Varchar(32, index=True)
    original_key = Varchar(32, index=True, default="")
    held = Boolean(default=True)
    sealed = Bytea(default=b"")
    before = Bytea(default=b"")
    """Whose it was before it was linked to a patient, sealed; empty while it is not."""


class UploadDocument(Table, tablename="upload_documents"):
    """A file beside the images of a study; `path` is below the storage root, its name stands sealed."""

    id = Varchar(36, primary_key=True)
    study = Varchar(36, index=True)
    submission = Varchar(36, index=True)
    sealed = Bytea(default=b"")
    media = Varchar(64, default="")
    bytes = BigInt(default=0)
    content_hash = Varchar(64, default="")
    path = Varchar(255, default="")
    created_at = BigInt(default=0)


UPLOAD_TABLES: tuple[type[Table], ...] = (UploadCode, Submission, Upload, SubmissionStudy, UploadDocument)
