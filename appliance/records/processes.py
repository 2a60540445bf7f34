"""Running processes of the appliance, by heartbeat."""

import os
import socket

import msgspec

from appliance.records.tables import ProcessRow

ALIVE_MS = 20_000
"""A process that was not seen for so long counts as gone."""


class Process(msgspec.Struct, kw_only=True, frozen=True):
    """One process of the appliance."""

    id: str
    kind: str
    pid: int
    host: str
    started_at: int
    seen_at: int
    note: str = ""

    def alive(self, now: int) -> bool:
        """Whether its last heartbeat is young enough."""
        return now - self.seen_at < ALIVE_MS


def this_process(kind: str, now: int) -> Process:
    """The running process as a row."""
    host, pid = socket.gethostname()[:40], os.getpid()
    return Process(id=f"{kind}@{host}:{pid}"[:64], kind=kind, pid=pid, host=host, started_at=now, seen_at=now)


async def beat(process: Process, now: int) -> None:
    """Says that a process is alive."""
    row = ProcessRow(**{**msgspec.structs.asdict(process), "seen_at": now})
    changed = [ProcessRow.seen_at, ProcessRow.note]
    await ProcessRow.insert(row).on_conflict(target=ProcessRow.id, action="DO UPDATE", values=changed).run()


async def gone(process: Process) -> None:
    """Takes a process that ended out of the list."""
    await ProcessRow.delete().where(ProcessRow.id == process.id).run()


async def everyone(since: int = 0) -> list[Process]:
    """Processes seen since a moment, by kind."""
    rows = await ProcessRow.select().where(ProcessRow.seen_at >= since).order_by(ProcessRow.kind, ProcessRow.id).run()
    return [msgspec.convert(row, Process) for row in rows]
