"""Finding studies on PACS nodes and asking for them: the way from a person's question to the rows that receiving carries out.

What a node answers holds patient values and foreign UIDs. A person points at an answer by its pick, a sealed token that is
good at this appliance only, so that no UID stands in an address, a log or the audit.
"""

import asyncio
import base64
import binascii
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from appliance.errors import NeedsPerson, Rejected, Unknown
from appliance.house import House
from appliance.keys import Keys, SealBroken
from appliance.receive.section import Node
from appliance.records import identities, pulls, studies
from appliance.records.pulls import PullRow, Wanted

if TYPE_CHECKING:
    from appliance.receive.nodes.find import Found, Query
    from appliance.receive.nodes.stop import Stop

MOST_ANSWERS = 200
_PURPOSE = "picks"


class BadPick(Rejected):
    """This pick is none of the answers of the PACS node {node}."""

    code = "bad-pick"
    next_step = "Find the study again and give the pick of the answer."


class NoPatientId(NeedsPerson):
    """The study names no patient ID to look for."""

    code = "no-patient-id"
    next_step = "Find the earlier studies by name or date."


class Answer(msgspec.Struct, kw_only=True, frozen=True):
    """One answer of a node, how to point at it, and our study when it is here already."""

    found: "Found"
    pick: str
    study: str = ""


async def node_of(house: House, name: str) -> Node:
    """A configured node; raises `Unknown`."""
    found = (await house.settings()).settings.nodes.everyone
    node = next((one for one in found if one.name == name), None)
    if node is None:
        raise Unknown(kind="PACS node")
    return node


async def find(
    house: House, node: Node, query: "Query", *, limit: int, skip: int = 0, stop: "Stop | None" = None
) -> tuple[list[Answer], bool]:
    """A page of what a node holds, and whether there is more; `stop` has the node end its answers.

    Raises `NodeAway`, `NodeRefuses` and `QueryRefused`.
    """
    from appliance.receive.nodes import session

    page = partial(session.page, node, query, limit=min(limit, MOST_ANSWERS), skip=skip, stop=stop)
    found, more = await asyncio.to_thread(page)
    keys = [pulls.study_key(house.keys, one.study_uid) if one.study_uid else "" for one in found]
    here = await studies.by_uid_keys(house.records, [one for one in keys if one])
    answers = [
        Answer(found=one, pick=pick_of(house.keys, node, _wanted(one)), study=here.get(key, ""))
        for one, key in zip(found, keys, strict=True)
    ]
    return answers, more


def _wanted(found: "Found") -> Wanted:
    return Wanted(
        study_uid=found.study_uid,
        series_uids=(found.series_uid,) if found.series_uid else (),
        sop_uids=(found.sop_uid,) if found.sop_uid else (),
    )


def pick_of(keys: Keys, node: Node, wanted: Wanted) -> str:
    """The token that stands for an answer of this node; empty for a patient, who is no study."""
    if not wanted.study_uid:
        return ""
    return base64.urlsafe_b64encode(keys.seal(_PURPOSE, msgspec.json.encode(wanted), node.name)).decode().rstrip("=")


def picked(keys: Keys, node: Node, pick: str) -> Wanted:
    """What a pick stands for; raises `BadPick`."""
    try:
        sealed = base64.urlsafe_b64decode(pick + "=" * (-len(pick) % 4))
        return msgspec.json.decode(keys.open(_PURPOSE, sealed, node.name), type=Wanted)
    except (SealBroken, binascii.Error, ValueError):
        raise BadPick(node=node.name) from None


async def studies_of(house: House, rows: Sequence[PullRow]) -> dict[str, str]:
    """Digest of a Study Instance UID -> our study, for pulls of which something is here."""
    return await studies.by_uid_keys(house.records, list(dict.fromkeys(one.uid_key for one in rows)))


async def pull(
    house: House, node: Node, wanted: Sequence[Wanted], *, owner: str, now: int, idempotency_key: str = ""
) -> list[PullRow]:
    """Asks for studies, series or instances of a node; the receiver carries it out."""
    return await pulls.add(house.keys, node.name, wanted, reason="asked", owner=owner, now=now, idempotency_key=idempotency_key)


async def pull_priors(
    house: House, study: str, node: Node, *, modality: str, owner: str, now: int, idempotency_key: str = ""
) -> list[PullRow]:
    """Asks for the other studies of a study's patient that a node holds and that are not here; raises `NoPatientId`."""
    from appliance.receive.nodes.find import Query

    if there := await pulls.by_idempotency_key(idempotency_key):
        return there
    identity = await identities.get(house.keys, study)
    if identity is None or not identity.patient_id:
        raise NoPatientId()
    answers, _ = await find(
        house, node, Query(level="STUDY", patient_id=identity.patient_id, modality=modality), limit=MOST_ANSWERS
    )
    # Some nodes take an ID for the beginning of one, and another issuer's ID is another patient.
    same = [
        one
        for one in answers
        if one.found.patient_id.strip() == identity.patient_id.strip()
        and (not one.found.issuer or not identity.issuer or one.found.issuer == identity.issuer)
        and one.found.study_uid != identity.study_instance_uid
        and not one.study
    ]
    if not same:
        return []
    wanted = [_wanted(one.found) for one in same]
    return await pulls.add(
        house.keys, node.name, wanted, reason="priors", owner=owner, now=now, idempotency_key=idempotency_key
    )
