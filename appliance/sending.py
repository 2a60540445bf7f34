"""A study's images sent on to an archive because a person asks; `appliance.steps` does it by rule."""

from appliance import pipeline, proof
from appliance.errors import Conflict, Unknown
from appliance.house import House
from appliance.records import deliveries, orders
from appliance.records.deliveries import DeliveryRow


class NothingToSend(Conflict):
    """This order has no de-identified DICOM images."""

    code = "nothing-to-send"
    next_step = "Studies that came as NIfTI, and those whose copy was not proven clean, are sent to no archive."


async def ask(house: House, order: str, destination: str, *, actor: str, now: int) -> DeliveryRow:
    """Sends an order's images to a destination, whatever its rule says; again when they were sent before.

    One that is under way is given as it is. Raises `Unknown`, `NoPassportYet`, `NothingToSend`.
    """
    section = (await house.settings()).settings.delivery
    if destination not in [one.name for one in section.study_destinations]:
        raise Unknown(kind="study destination")
    passport = await proof.passport(order)
    if not passport.clean or not passport.images:
        raise NothingToSend()
    row = await orders.get(order)
    async with house.records.transaction():
        made, new = await deliveries.create_of_study(row.study, row.study_version, order, destination, now)
        if new:
            await pipeline.reopen_delivery(house, row, now=now)
    if not new and made.state not in deliveries.OPEN:
        await pipeline.resend(house, made.id, actor=actor, now=now)
    return await deliveries.get(made.id)
