"""An order with its report and open deliveries, as the appliance has it when delivering begins."""

import hashlib

import msgspec

from appliance.house import House
from appliance.moments import new_id, now_ms
from appliance.records import deliveries, identities, orders, reports
from appliance.records.deliveries import DeliveryRow
from appliance.records.tables import Instance, Order, Study
from appliance.reports.content import file_name
from appliance.states import OrderState, StudyState
from appliance.storage import write_durable
from tests.unit.delivery.test_dicom_pdf import IDENTITY
from tests.unit.reports.samples import a_report, original_images

PDF = b"%PDF-1.4 report of a phantom"


async def a_reported_order(house: House, *destinations: str) -> list[DeliveryRow]:
    """A study with its identity and original images, its reported order, the report's PDF, and one delivery each."""
    now, storage = now_ms(), house.storage
    study, order, series = new_id(now), new_id(now), new_id(now)
    await Study.insert(
        Study(id=study, state=str(StudyState.STABLE), uid_key=study[-32:], first_at=now, last_at=now, instances=3)
    ).run()
    await identities.put(house.keys, study, IDENTITY)
    originals = storage.original(study, 1)
    originals.mkdir(parents=True)
    for path in original_images(originals, IDENTITY.study_instance_uid):
        instance = new_id(now)
        place = path.removeprefix(f"{storage.root}/")
        await Instance.insert(Instance(id=instance, study=study, series=series, sop_key=instance[-32:], path=place)).run()
    inputs, state = msgspec.json.encode({"dti": [series]}).decode(), str(OrderState.REPORTED)
    await orders.add(Order(id=order, study=study, state=state, products="dti", inputs=inputs, created_at=now, updated_at=now))
    content = a_report(order=order, report=new_id(now), study=study)
    folder = storage.reports(study, 1, order) / "report_v1"
    write_durable(folder / file_name(order, "report", 1, "pdf"), PDF)
    number = await reports.next_version(order, "report")
    text, place = msgspec.json.encode(content).decode(), storage.relative(folder)
    # As the appliance has it: what was made has been looked through.
    searched = msgspec.json.encode({"pdf": hashlib.sha256(PDF).hexdigest()}).decode()
    await reports.add(
        content.report, order, "report", number, content=text, formats=["pdf"], folder=place, now=now, searched=searched
    )
    return await deliveries.create(content.report, order, destinations, now)
