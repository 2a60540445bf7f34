"""From events to people: reads on in the events, decides what is told, and sends what is due.

An event and what becomes of it are written in one transaction with the mark of how far was read, so nothing is told twice and
nothing is forgotten when a process dies; a message that a process dies over is sent again under the same identifier.
"""

import os
import socket
from collections.abc import Sequence

import msgspec

from appliance import sought
from appliance.deidentify.last_look import IdentityFound, Look
from appliance.deidentify.passport import Residue
from appliance.events import MetricHigh, MetricRecovered
from appliance.house import House
from appliance.moments import id_of_digest, iso
from appliance.notify import decide, subjects
from appliance.notify.letter import Letter, Line, Told
from appliance.notify.section import Severity, Subject
from appliance.records import events, identities, notices
from appliance.records.events import Stored
from appliance.records.notices import NoticeRow
from appliance.settings import Settings
from appliance.upkeep.machine import Readings, Watch, read

LEASE_MS = 120_000
ATTEMPTS = 3
FIRST_WAIT_MS = 30_000
LOOK_BACK = 200
"""Events before the mark that are looked at again: on PostgreSQL a lower number may become visible after a higher one."""
LOOK_BACK_MS = 30_000


class _About(msgspec.Struct, kw_only=True, frozen=True):
    """What a notice keeps of its event: no patient's value, for no event has one."""

    text: str
    study: str
    order: str


async def tend(house: House, now: int) -> None:
    """Reads new events and sends what is due."""
    settings = (await house.settings()).settings
    await read_on(house, settings, now)
    while await send_once(house, settings, now):
        pass


async def read_on(house: House, settings: Settings, now: int) -> None:
    """Writes a row for every event that is told, and the mark; the first time ever it begins at the newest event."""
    mark = await notices.mark()
    if mark is None:
        await notices.begin(house.records, await events.newest_seq())
        return
    begun, seen = mark
    back = 0 if house.records.on_sqlite else LOOK_BACK
    found = await events.named(subjects.NAMES, after=max(begun, seen - back))
    fresh = [one for one in found if one.seq > seen or now - one.at < LOOK_BACK_MS]
    if not fresh:
        return
    async with house.records.transaction():
        for stored in fresh:
            await _planned(house, settings, stored)
        await notices.set_mark(house.records, max(seen, fresh[-1].seq))


async def _planned(house: House, settings: Settings, stored: Stored) -> None:
    event = stored.event
    subject = subjects.subject_of(event, local=settings.compute.mode == "local")
    if subject is None or subject not in settings.notify.events:
        return
    about = msgspec.json.encode(_About(text=event.text(), study=event.study, order=event.order)).decode()
    topic = subjects.topic_of(subject, event)
    told = await notices.last_told(house.records, topic, stored.seq)
    zone = settings.site.time_zone
    for plan in decide.plans(settings.notify, subject, now=stored.at, zone=zone, last_told=told):
        row = NoticeRow(
            id=notices.identifier(stored.seq, plan.route, stored.at),
            seq=stored.seq,
            subject=subject,
            severity=plan.severity,
            route=plan.route,
            state=plan.state,
            reason=plan.reason,
            digest=plan.digest,
            attempt=0,
            worker="",
            lease_until=0,
            not_before=plan.not_before,
            at=stored.at,
            sent_at=None,
            topic=topic,
            body=about,
        )
        await notices.add(house.records, row)


async def send_once(house: House, settings: Settings, now: int) -> bool:
    """Sends what is due on one way; false when nothing was."""
    worker = f"{socket.gethostname()[:24]}:{os.getpid()}"
    rows = await notices.claim(house.records, worker=worker, now=now, lease_ms=LEASE_MS)
    if not rows:
        return False
    letter = await _letter(house, settings, rows)
    found = [] if settings.notify.identity else await _identity_in(house, settings, letter)
    if found:
        await notices.settle(house.records, rows, "failed", IdentityFound.of(found).what, now=now)
        return True
    told = await _sent(settings, rows[0].route, letter)
    attempt = max(one.attempt for one in rows)
    if told.ok:
        await notices.settle(house.records, rows, "sent", told.words, now=now)
    elif told.again and attempt < ATTEMPTS:
        later = now + FIRST_WAIT_MS * 2 ** (attempt - 1)
        await notices.settle(house.records, rows, "waiting", told.words, now=now, not_before=later)
    else:
        await notices.settle(house.records, rows, "failed", told.words, now=now)
    return True


async def _sent(settings: Settings, route: str, letter: Letter) -> Told:
    section = settings.notify
    match route:
        case "email":
            from appliance.notify import mail

            return await mail.send(section, letter)
        case "webhook":
            from appliance.notify import webhook

            return await webhook.send(section, letter)
    from appliance.notify import messenger

    return await messenger.send(section, letter)


async def _letter(house: House, settings: Settings, rows: Sequence[NoticeRow]) -> Letter:
    lines = [await _line(house, settings, row) for row in rows]
    site = settings.site.name
    name = rows[0].id if len(rows) == 1 else id_of_digest(house.keys.digest("digest", ",".join(one.id for one in rows)))
    return Letter(id=name, site=site, lines=lines)


async def _identity_in(house: House, settings: Settings, letter: Letter) -> list[Residue]:
    """What the last look finds in a letter that may name nobody."""
    found: list[Residue] = []
    for study in dict.fromkeys(one.study for one in letter.lines if one.study):
        known = await sought.by_identity(house, study)
        eye = Look(msgspec.structs.replace(known, spared=[settings.site.name]))
        told = [one for one in letter.lines if one.study == study]
        found += [residue for one in told for residue in eye.in_text(one.text, one.event)]
    return found


async def _line(house: House, settings: Settings, row: NoticeRow) -> Line:
    about = msgspec.json.decode(row.body, type=_About)
    patient = ""
    if settings.notify.identity and about.study:
        found = await identities.get(house.keys, about.study)
        patient = f"{found.patient_name}, {found.patient_id}" if found else ""
    subject = msgspec.convert(row.subject, Subject)
    return Line(
        event=subject,
        title=subjects.TITLES[subject],
        severity=msgspec.convert(row.severity, Severity),
        at=iso(row.at),
        text=about.text,
        study=about.study,
        order=about.order,
        patient=patient,
    )


class MachineWatch:
    """Reads the machine and tells what is high, low or well again (NOT-01)."""

    def __init__(self) -> None:
        self._watch = Watch()

    async def __call__(self, house: House, now: int) -> object:
        """One reading."""
        return await self.look(house, read(house.home), now)

    async def look(self, house: House, readings: Readings, now: int) -> int:
        """Takes readings; gives how many changes were told."""
        section = (await house.settings()).settings.notify
        limits = Readings(section.cpu_percent, section.memory_percent, section.swap_percent, section.disk_free_percent)
        changes = self._watch.changes(readings, limits, now, section.cool_down_minutes * 60_000)
        for one in changes:
            kind = MetricHigh if one.high else MetricRecovered
            host = socket.gethostname()[:64]
            await events.append(kind(metric=one.metric, host=host, percent=one.percent, threshold=one.threshold), now)
        return len(changes)
