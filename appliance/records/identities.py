"""The identities: the only rows that hold a patient's values, each sealed and bound to its study."""

from typing import Literal, Protocol

import msgspec

from appliance.records.tables import Identity

_PURPOSE = "identities"
_LINKING = "linking"
_SOUGHT = "sought"


class Sealer(Protocol):
    """What this room needs of `appliance.keys.Keys`."""

    def seal(self, purpose: str, plain: bytes, context: str) -> bytes:
        """Encrypts bytes, bound to a context."""
        ...

    def open(self, purpose: str, sealed: bytes, context: str) -> bytes:
        """Decrypts what `seal` made."""
        ...

    def digest(self, purpose: str, text: str) -> str:
        """A keyed digest."""
        ...


class PatientIdentity(msgspec.Struct, kw_only=True, frozen=True):
    """Who a study belongs to, as its first instance said it (DICOM patient and study modules, PS3.3 C.7.1 and C.7.2)."""

    patient_name: str = ""
    patient_id: str = ""
    issuer: str = ""
    birth_date: str = ""
    sex: str = ""
    age: str = ""
    accession: str = ""
    study_instance_uid: str = ""
    study_id: str = ""
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    referring_physician: str = ""
    character_set: str = ""


def pseudonym(keys: Sealer, issuer: str, patient_id: str) -> str:
    """The appliance's own name of a patient: HMAC of issuer and normalised patient ID; empty without an ID.

    Case, white space and leading zeros of a purely numeric ID do not make another patient.
    """
    normal = "".join(patient_id.split()).upper()
    if normal.isdigit():
        normal = normal.lstrip("0") or "0"
    if not normal:
        return ""
    return keys.digest("patient", f"{''.join(issuer.split()).upper()}\x1f{normal}")


def lookup_key(keys: Sealer, kind: str, value: str) -> str:
    """The digest by which an exact patient ID or accession number can be found; empty for an empty value."""
    normal = "".join(value.split()).upper()
    return keys.digest(f"lookup-{kind}", normal) if normal else ""


async def put(keys: Sealer, study: str, identity: PatientIdentity) -> None:
    """Seals and stores the identity of a study; an identity that is there stays as it is."""
    sealed = keys.seal(_PURPOSE, msgspec.json.encode(identity), study)
    row = Identity(
        study=study,
        sealed=sealed,
        linking=b"",
        sought=b"",
        patient_key=lookup_key(keys, "patient", identity.patient_id),
        accession_key=lookup_key(keys, "accession", identity.accession),
    )
    await Identity.insert(row).on_conflict(target=Identity.study, action="DO NOTHING").run()


async def replace(keys: Sealer, study: str, identity: PatientIdentity) -> None:
    """Puts another identity in the place of a study's own: somebody linked it to a patient, or took that back."""
    await (
        Identity.update(
            {
                Identity.sealed: keys.seal(_PURPOSE, msgspec.json.encode(identity), study),
                Identity.patient_key: lookup_key(keys, "patient", identity.patient_id),
                Identity.accession_key: lookup_key(keys, "accession", identity.accession),
            }
        )
        .where(Identity.study == study)
        .run()
    )


async def get(keys: Sealer, study: str) -> PatientIdentity | None:
    """The identity of a study, for a reveal, a delivery or the redaction; None after a purge."""
    row = await Identity.select(Identity.sealed).where(Identity.study == study).first().run()
    if row is None:
        return None
    return msgspec.json.decode(keys.open(_PURPOSE, bytes(row["sealed"]), study), type=PatientIdentity)


async def find(kind: Literal["accession", "patient"], key: str, limit: int) -> list[str]:
    """The newest studies with this digest (`lookup_key`) of an accession number or patient ID; none for an empty one."""
    column = Identity.accession_key if kind == "accession" else Identity.patient_key
    query = Identity.select(Identity.study).where(column == key).order_by(Identity.study, ascending=False).limit(limit)
    return [str(row["study"]) for row in await query.run()] if key else []


async def put_linking(keys: Sealer, study: str, linked: dict[str, str]) -> None:
    """Seals the table of original and new UIDs beside the identity; what earlier orders linked stays in it."""
    merged = {**await linking(keys, study), **linked}
    sealed = keys.seal(_LINKING, msgspec.json.encode(merged), study)
    await Identity.update({Identity.linking: sealed}).where(Identity.study == study).run()


async def linking(keys: Sealer, study: str) -> dict[str, str]:
    """Original to new UIDs; empty when nothing was de-identified yet."""
    row = await Identity.select(Identity.linking).where(Identity.study == study).first().run()
    if row is None or not row["linking"]:
        return {}
    return msgspec.json.decode(keys.open(_LINKING, bytes(row["linking"]), study), type=dict[str, str])


async def put_sought(keys: Sealer, study: str, values: bytes) -> None:
    """Seals what must not stand in what leaves without identity (`appliance.deidentify.last_look`) beside the identity."""
    sealed = keys.seal(_SOUGHT, values, study)
    await Identity.update({Identity.sought: sealed}).where(Identity.study == study).run()


async def sought(keys: Sealer, study: str) -> bytes:
    """What `put_sought` kept; empty when nothing was de-identified yet, and after a purge."""
    row = await Identity.select(Identity.sought).where(Identity.study == study).first().run()
    if row is None or not row["sought"]:
        return b""
    return keys.open(_SOUGHT, bytes(row["sought"]), study)
