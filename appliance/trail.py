"""The audit leaves for the site's audit repository: each row a DICOM audit message over syslog with TLS (IHE ATNA, ITI-20).

The audit itself is the buffer: a row counts as sent when the server has closed the connection in order after reading it. What
was not confirmed is sent again under the same number, so that every row arrives, in order, at least once.
"""

import asyncio
import logging
import ssl

import msgspec

from appliance import audit, tls
from appliance.atna import codes, message
from appliance.atna.message import Subject
from appliance.errors import Misconfigured, Unknown
from appliance.events import AuditTrailResumed, AuditTrailWaits
from appliance.house import House
from appliance.records import events, identities, orders, studies, trail
from appliance.records.audit import AuditEntry
from appliance.records.trail import Mark
from appliance.settings import Settings
from appliance.upkeep import syslog
from appliance.upkeep.section import AuditSection

BATCH = 200
MOST_BATCHES = 50
"""At one call: the rest goes with the next."""
MESSAGE_ID = "DICOM+RFC3881"
"""PS3.15 section A.6."""
_LAST_ID = 2**31 - 1

log = logging.getLogger(__name__)


async def publish(house: House, now: int) -> int:
    """Sends the rows that the repository of the settings has not taken yet; gives how many it took."""
    found = (await house.settings()).settings
    if not found.audit.messages or found.audit.syslog != "tls" or not found.audit.syslog_host:
        return 0
    mark, taken = await trail.mark(_name(found.audit)), 0
    for _ in range(MOST_BATCHES):
        rows = await trail.rows_after(mark.seq, BATCH)
        if not rows:
            break
        messages = [await _message(house, found, one) for one in rows]
        messages.append(_anchor(house, rows[-1], now))
        try:
            await asyncio.to_thread(_deliver, messages, found.audit)
        except (OSError, TimeoutError, Misconfigured) as away:
            await _waits(mark, away, now)
            break
        mark = await _took(mark, rows[-1].seq, now)
        taken += len(rows)
    return taken


def context_of(section: AuditSection) -> ssl.SSLContext | None:
    """TLS of the settings, with our own certificate where the server asks for one; raises `Misconfigured`."""
    if section.syslog != "tls":
        return None
    return tls.context(section.syslog_authority, section.syslog_certificate, section.syslog_key)


def _deliver(messages: list[bytes], section: AuditSection) -> None:
    syslog.deliver(messages, section.syslog_host, section.syslog_port, context_of(section))


async def _message(house: House, settings: Settings, entry: AuditEntry) -> bytes:
    content = message.xml(entry, settings.site.name or "ranvier", await _subject(house, settings.audit, entry))
    number: dict[str, str | int] = {"sequenceId": (entry.seq - 1) % _LAST_ID + 1}
    ours: dict[str, str | int] = {"row": entry.seq, "hash": entry.hash}
    data = {"meta": number, f"audit@{syslog.PRIVATE_ENTERPRISE}": ours}
    return syslog.message(entry.at, MESSAGE_ID, data, content.decode(), syslog.SECURITY * 8 + syslog.NOTICE)


def _anchor(house: House, newest: AuditEntry, now: int) -> bytes:
    """How far the chain went with the last of these rows, signed."""
    found = audit.anchor_of(house.keys, newest.seq, newest.hash, now)
    facts: dict[str, str | int] = {"rows": found.rows, "head": found.head, "anchor": found.text}
    return syslog.line(now, "anchor", facts, f"Audit of {found.rows} rows: {found.text}")


async def _subject(house: House, section: AuditSection, entry: AuditEntry) -> Subject | None:
    """The study and patient of a row; none when it is about neither, or both are gone."""
    target = codes.kind_of(entry.action).target
    if target not in ("study", "order") or not entry.target:
        return None
    try:
        study = (await orders.get(entry.target)).study if target == "order" else entry.target
        row = await studies.get(study)
    except Unknown:
        return Subject(study=entry.target) if target == "study" else None
    who = await identities.get(house.keys, study) if section.patients_named else None
    if who is None:
        return Subject(study=study, patient=row.pseudonym)
    return Subject(study=study, patient=who.patient_id or row.pseudonym, study_uid=who.study_instance_uid)


async def _took(mark: Mark, seq: int, now: int) -> Mark:
    if mark.failing_since:
        await events.append(AuditTrailResumed(destination=mark.destination), now)
    found = Mark(destination=mark.destination, seq=seq, at=now)
    await trail.note(found)
    return found


async def _waits(mark: Mark, away: Exception, now: int) -> None:
    """The world is told once, however often it is tried."""
    why = away.what if isinstance(away, Misconfigured) else type(away).__name__
    if not mark.failing_since:
        log.warning("the audit repository takes nothing: %s", why, extra={"code": "audit-trail-waits"})
        await events.append(AuditTrailWaits(destination=mark.destination, reason=why), now)
        await trail.note(msgspec.structs.replace(mark, failing_since=now, detail=why[:255]))


def _name(section: AuditSection) -> str:
    return f"{section.syslog_host}:{section.syslog_port}"
