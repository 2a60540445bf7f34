"""What a study asks for by itself: how urgent it is, and which products it wants."""

import asyncio
import re

from appliance.compute.section import ComputeSection
from appliance.house import House
from appliance.products import catalogue
from appliance.receive import part10
from appliance.receive.header import REQUESTED_PRIORITY
from appliance.receive.section import ReceiveSection
from appliance.records import identities, studies

ROUTINE, URGENT = 0, 5
"""Priorities by name; callers may use any from 0 to 9."""
URGENT_WORDS = frozenset({"STAT", "HIGH"})
"""Of Requested Procedure Priority; the others are ROUTINE, MEDIUM and LOW (PS3.3 section C.4.11)."""


async def products(house: House, study: str, section: ReceiveSection) -> list[str] | None:
    """REC-07: what a private attribute of the study asks for; empty without it, None when it names no installed product."""
    found = await studies.get(study)
    group, element = int(section.product_tag_group, 16), int(section.product_tag_element, 16)
    known = catalogue(house.home)
    for path in await studies.first_of_each_series(house.records, study, found.version):
        where = house.storage.absolute(path)
        text = await asyncio.to_thread(part10.private_value_of, where, group, element, section.product_tag_creator)
        named = [one.strip() for one in re.split(r"[\\,;]", text) if one.strip()]
        if named:
            return list(dict.fromkeys(named)) if all(one in known for one in named) else None
    # Whoever handed it in came with an upload code that names products.
    return [one for one in found.product_tag.split(",") if one]


async def urgency(house: House, study: studies.StudyRow, section: ComputeSection) -> int:
    """What the study's sender, its priority tag and its description make of it (PRO-05)."""
    if study.sender in section.urgent_callers:
        return URGENT
    if section.urgent_tag and await _requested_priority(house, study.id) in URGENT_WORDS:
        return URGENT
    if section.urgent_descriptions:
        identity = await identities.get(house.keys, study.id)
        described = identity.study_description.casefold() if identity else ""
        if any(one.casefold() in described for one in section.urgent_descriptions):
            return URGENT
    return ROUTINE


async def _requested_priority(house: House, study: str) -> str:
    """Requested Procedure Priority (0040,1003) of the study's first instance (PS3.3 C.4.11); empty where it has none."""
    first = await studies.first_instance(study)
    if first is None:
        return ""
    found = await asyncio.to_thread(part10.value_of, house.storage.absolute(first.path), REQUESTED_PRIORITY)
    return found.upper()
