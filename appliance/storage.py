"""Where bytes lie, and how they get there whole.

    <home>/
      ranvier.toml            where the database is; written by the wizard
      ranvier.db              SQLite, unless ranvier.toml names PostgreSQL
      keys/root.key
      storage/studies/<id>/v<n>/original/<instance id>.dcm
      storage/studies/<id>/v<n>/deidentified/...
      storage/studies/<id>/v<n>/qc/<order id>/...
      storage/studies/<id>/v<n>/products/<order id>/<product>/...
      storage/studies/<id>/v<n>/reports/<order id>/<order id>_report.pdf ...
      storage/studies/<id>/documents/<document id>
      storage/uploads/<submission id>/...
      storage/{journals,quarantine,scratch}/
      storage/hub/<hub order id>/...
      storage/reserve         freed when the disk is full, so that the database and the console go on
      logs/<process>.jsonl

Identifiers are our own: no DICOM UID and no patient value is ever part of a path.
"""

import errno
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from appliance.errors import Misconfigured, Rejected

SCHEMA = 1
RESERVE_BYTES = 64 * 1024 * 1024
_IDENTIFIER = re.compile(r"[0-9a-f\-]{8,36}")


class OutOfSpace(Rejected):
    """There is no room left to keep this."""

    code = "out-of-space"
    next_step = "Free space on the data disk, or shorten the retention time."


class StorageTooNew(Misconfigured):
    """The data folder was written by a newer Ranvier (layout {found}, this one knows {known})."""

    code = "storage-too-new"
    next_step = "Install the newer version again, or restore a backup made by this one."


class Storage:
    """The folders of one appliance."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.root = home / "storage"

    def prepare(self) -> None:
        """Makes the folders and the reserve; raises `StorageTooNew` for a layout of a later version."""
        for name in ("studies", "journals", "quarantine", "scratch", "hub", "uploads"):
            (self.root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.home / "logs").mkdir(mode=0o700, exist_ok=True)
        mark = self.root / "layout"
        if not mark.exists():
            write_durable(mark, f"{SCHEMA}\n".encode())
        found = int(mark.read_text())
        if found > SCHEMA:
            raise StorageTooNew(field="storage", found=found, known=SCHEMA)
        self.tend_reserve()

    def study(self, study: str, version: int) -> Path:
        """The folder of one version of a study."""
        return self.root / "studies" / _checked(study) / f"v{int(version)}"

    @property
    def hub_folder(self) -> Path:
        """Where the parts lie that clients of the hub upload."""
        return self.root / "hub"

    def hub(self, order: str) -> Path:
        """The parts of one order, until they are unpacked."""
        return self.hub_folder / _checked(order)

    def original(self, study: str, version: int) -> Path:
        """The instances that arrived in this version, as they came."""
        return self.study(study, version) / "original"

    def deidentified(self, study: str, version: int, order: str) -> Path:
        """The copy that an order's products and the cloud may see."""
        return self.study(study, version) / "deidentified" / _checked(order)

    def reports(self, study: str, version: int, order: str) -> Path:
        """Every format of an order's reports."""
        return self.study(study, version) / "reports" / _checked(order)

    def quality(self, study: str, version: int, order: str) -> Path:
        """The pictures that quality control made for an order."""
        return self.study(study, version) / "qc" / _checked(order)

    def products(self, study: str, version: int, order: str, product: str) -> Path:
        """What one product made for one order: maps, pictures, tables."""
        return self.study(study, version) / "products" / _checked(order) / product

    def quarantine(self, name: str) -> Path:
        """A place for bytes that could not be filed."""
        return self.root / "quarantine" / _checked(name)

    def quarantined(self) -> list[Path]:
        """Everything that was set aside."""
        return sorted(one for one in (self.root / "quarantine").glob("*") if one.is_dir())

    def uploads(self, submission: str) -> Path:
        """What somebody hands in, from its first byte until it was looked through."""
        return self.root / "uploads" / _checked(submission)

    def documents(self, study: str) -> Path:
        """The files that came beside the images of a study."""
        return self.root / "studies" / _checked(study) / "documents"

    def scratch(self, name: str) -> Path:
        """A place for work that may be thrown away at any time."""
        return self.root / "scratch" / _checked(name)

    def kept(self, order: str) -> Path:
        """What the runs of an order leave for their next attempt; it may be thrown away at any time."""
        return self.root / "scratch" / f"{_checked(order)}-kept"

    def cohort(self, group: str) -> Path:
        """The reports of a group."""
        return self.root / "groups" / _checked(group)

    def relative(self, path: Path) -> str:
        """A path as it stands in the records."""
        return str(path.relative_to(self.root))

    def absolute(self, relative: str) -> Path:
        """A path of the records on this machine."""
        return self.root / relative

    def free_bytes(self) -> int:
        """Bytes that an unprivileged process can still write."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    def total_bytes(self) -> int:
        """Bytes of the whole file system."""
        found = os.statvfs(self.root)
        return found.f_blocks * found.f_frsize

    def require_space(self, wanted: int) -> None:
        """Raise `OutOfSpace` unless `wanted` bytes fit beside the reserve, whether it is occupied or given back."""
        free = self.free_bytes()
        if free < wanted + 2 * RESERVE_BYTES:
            size = self.reserve_size()
            given_back = 0 if (self.root / "reserve").exists() else size
            if free < wanted + given_back + size // 4:
                raise OutOfSpace()

    def reserve_size(self) -> int:
        """How large the reserve is on this disk."""
        return min(RESERVE_BYTES, self.total_bytes() // 8)

    def tend_reserve(self) -> None:
        """Gives the reserve back on a full disk, so that every process can start and write; occupies it when there is room."""
        size = self.reserve_size()
        if self.free_bytes() < size // 8:
            self.free_reserve()
        else:
            self.keep_reserve(size)

    def keep_reserve(self, size: int = RESERVE_BYTES) -> None:
        """Occupies the reserve while there is room for it."""
        reserve = self.root / "reserve"
        if reserve.exists() and reserve.stat().st_size >= size:
            return
        if self.free_bytes() < 4 * size:
            return
        handle = os.open(reserve, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.posix_fallocate(handle, 0, size)
        except OSError:
            # Somebody else was faster with the space: a reserve that is too small is none.
            reserve.unlink(missing_ok=True)
        finally:
            os.close(handle)

    def free_reserve(self) -> bool:
        """Gives the reserve back to the database and the console; true when there was one."""
        reserve = self.root / "reserve"
        if not reserve.exists():
            return False
        reserve.unlink()
        return True


def _checked(identifier: str) -> str:
    # Identifiers come from our own rows; a path component of any other shape is a programming error or an attack.
    if not _IDENTIFIER.fullmatch(identifier):
        raise Misconfigured(field="identifier")
    return identifier


def write_durable(path: Path, content: bytes | Iterable[bytes], mode: int = 0o600) -> None:
    """Writes a file that is either whole and on disk or not there: temporary file, fsync, rename, fsync of the folder.

    Raises `OutOfSpace` when the disk or the quota is full; nothing half-written stays.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            for chunk in (content,) if isinstance(content, bytes) else content:
                _write_all(handle, chunk)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(draft, path)
    except OSError as fault:
        draft.unlink(missing_ok=True)
        if fault.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfSpace() from fault
        raise
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _write_all(handle: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(handle, view) :]


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_folder(folder: Path) -> None:
    """Removes a folder and all below it; nothing happens when it is not there."""
    shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None


def publish_folder(draft: Path, final: Path) -> None:
    """Makes a finished folder visible under its name in one step, replacing an earlier one."""
    final.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file in draft.rglob("*"):
        _sync_one(file)
    _sync_one(draft)
    if final.exists():
        remove_folder(final)
    os.rename(draft, final)
    sync_folder(final.parent)


def _sync_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
