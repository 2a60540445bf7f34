"""What a destination of studies gets: the images of an order's de-identified copy, once the verifier has released them.

Each version of a study has one delivery for each destination, whatever orders it has: it arrives once. The attempts, waits,
leases and pauses are those of every delivery (`appliance.dispatch`).
"""

import asyncio
import hashlib

import msgspec

from appliance.deidentify.passport import Passport, Released
from appliance.delivery import destinations
from appliance.delivery.parcel import Outcome, Shipment
from appliance.delivery.section import StudyDestination
from appliance.house import House
from appliance.records import orders
from appliance.records.deliveries import DeliveryRow


async def send_on(house: House, row: DeliveryRow, section: StudyDestination) -> Outcome:
    """One attempt; raises `NotClean` and `NotAsVerified` for what may not leave."""
    from appliance.deidentify.verifier import release

    order = await orders.get(row.order)
    passport = msgspec.json.decode(order.passport, type=Passport)
    folder = house.storage.deidentified(order.study, order.study_version, order.id)
    released = await asyncio.to_thread(release, folder, passport)
    reports = house.storage.reports(order.study, order.study_version, order.id)
    return await destinations.send_study(
        Shipment(
            folder=released.folder,
            names=released.passport.images,
            digest=_digest(released),
            ledger=reports / "sending" / f"{row.id}.txt",
            afresh=row.attempt == 1,
        ),
        section,
    )


def _digest(released: Released) -> str:
    """Of all names and contents."""
    lines = "".join(f"{one.sha256}  {one.path}\n" for one in released.passport.files)
    return hashlib.sha256(lines.encode()).hexdigest()
