"""Uploaded studies in the hands of staff: who handed them in, the reviewed label, the link to a patient and its undo.

Uploaded numbers name nobody here; that a study belongs to a patient who is known is what a person finds and says.
"""

import msgspec

from appliance.errors import Conflict, Unknown
from appliance.events import StudyLinked, StudyReviewed
from appliance.house import House
from appliance.records import events, identities, studies, submissions
from appliance.records.identities import PatientIdentity
from appliance.records.submissions import StudyOf, SubmissionRow
from appliance.validation import LABEL, ORIGIN, REVIEWED, WORKFLOW


class NotUploaded(Conflict):
    """This study was not uploaded."""

    code = "not-uploaded"
    next_step = "Choose a study that the filter label:Uploaded* lists."


class AlreadyLinked(Conflict):
    """This study is linked to a patient already."""

    code = "already-linked"
    next_step = "Undo that link first."


class NotLinked(Conflict):
    """This study is linked to no patient."""

    code = "not-linked"
    next_step = "There is nothing to undo."


class _Before(msgspec.Struct, kw_only=True, frozen=True):
    """Whose a study was before it was linked."""

    pseudonym: str
    identity: PatientIdentity


class Sides(msgspec.Struct, kw_only=True, frozen=True):
    """Both sides of a link: what the upload says, and the patient as known here."""

    uploaded: PatientIdentity
    original_patient_id: str
    known: PatientIdentity
    linked: bool


async def of_study(house: House, study: str) -> tuple[StudyOf, SubmissionRow]:
    """How a study was uploaded; raises `Unknown`, `NotUploaded`."""
    await studies.get(study)
    found = await submissions.of_study(house.records, study)
    if found is None:
        raise NotUploaded()
    return found, await submissions.get(found.submission)


async def labels(study: str) -> list[str]:
    """The labels of a study."""
    return msgspec.json.decode((await studies.get(study)).labels, type=list[str])


async def review(house: House, study: str, *, actor: str, now: int) -> None:
    """Says that somebody looked at an uploaded study; where its code names products, its order opens now."""
    found, row = await of_study(house, study)
    async with house.records.transaction():
        await submissions.mark(house.records, study, origin=ORIGIN, labels=[REVIEWED], workflow=WORKFLOW)
        if row.products:
            await studies.ask_products(house.records, study, row.products)
            await submissions.release(house.records, found.uid_key)
        await events.append(StudyReviewed(study=study, actor=actor, label=REVIEWED), now)


async def unreview(house: House, study: str, *, actor: str, now: int) -> None:
    """Takes the reviewed label back; an order that was opened stays."""
    await of_study(house, study)
    async with house.records.transaction():
        await submissions.mark(house.records, study, origin=ORIGIN, labels=[LABEL], workflow=WORKFLOW)
        await events.append(StudyReviewed(study=study, actor=actor, label=LABEL), now)


async def link(house: House, study: str, to: str, *, confirm: bool, actor: str, now: int) -> Sides:
    """Shows both sides, and with `confirm` makes an uploaded study one of the patient of another study.

    Raises `Unknown`, `NotUploaded`, `AlreadyLinked`.
    """
    keys = house.keys
    found, _ = await of_study(house, study)
    target, own = await studies.get(to), await studies.get(study)
    uploaded, known = await identities.get(keys, study), await identities.get(keys, to)
    if uploaded is None or known is None or target.id == own.id:
        raise Unknown(kind="patient")
    original = await submissions.original(keys, found.id)
    if found.linked:
        raise AlreadyLinked()
    if confirm:
        patient = {name: getattr(known, name) for name in ("patient_name", "patient_id", "issuer", "birth_date", "sex")}
        before = msgspec.json.encode(_Before(pseudonym=own.pseudonym, identity=uploaded))
        async with house.records.transaction():
            await submissions.note_link(house.records, keys, found.id, before)
            await identities.replace(keys, study, msgspec.structs.replace(uploaded, **patient))
            await studies.give_pseudonym(house.records, study, target.pseudonym)
            await events.append(StudyLinked(study=study, actor=actor, what="linked to a known patient"), now)
    return Sides(uploaded=uploaded, original_patient_id=original.patient_id, known=known, linked=confirm)


async def unlink(house: House, study: str, *, actor: str, now: int) -> None:
    """Takes a link back; raises `Unknown`, `NotUploaded`, `NotLinked`."""
    found, _ = await of_study(house, study)
    kept = await submissions.before_link(house.keys, found.id)
    if not kept:
        raise NotLinked()
    before = msgspec.json.decode(kept, type=_Before)
    async with house.records.transaction():
        await identities.replace(house.keys, study, before.identity)
        await studies.give_pseudonym(house.records, study, before.pseudonym)
        await submissions.note_link(house.records, house.keys, found.id, b"")
        await events.append(StudyLinked(study=study, actor=actor, what="no longer linked"), now)
