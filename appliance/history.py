"""What the appliance found in earlier studies of the same patient, for the trend in a report.

The same patient is the same pseudonym: issuer and patient ID, whatever their spelling. The dates of the studies stay sealed in
the identities; only the days between them go on.
"""

from datetime import date

import msgspec

from appliance.house import House
from appliance.products import catalogue
from appliance.products.manifest import ProductResult
from appliance.records import identities, orders, reports, studies
from appliance.records.studies import StudyRow
from appliance.reports.content import Earlier, ProductSection, Row
from appliance.states import RunState

MOST = 10
"""Earlier studies in one report; the newest ones."""


async def earlier(house: House, study: StudyRow, sections: list[ProductSection]) -> list[Earlier]:
    """The followed values of the same products in the patient's earlier studies, newest first."""
    day = await _day(house, study.id)
    wanted = {one.product for one in sections if not one.failure}
    if not study.pseudonym or day is None or not wanted:
        return []
    found = []
    for other in await studies.of_patient(study.pseudonym):
        then = await _day(house, other) if other != study.id else None
        if then is not None and then <= day:
            found.append(((day - then).days, other))
    found.sort()
    return [one for days, other in found[:MOST] for one in await _results(house, other, days, wanted)]


async def _results(house: House, study: str, days: int, wanted: set[str]) -> list[Earlier]:
    """The newest reported order of each product counts."""
    manifests = catalogue(house.home)
    found: dict[str, Earlier] = {}
    for order in await orders.of_study(study):
        if await reports.newest(order.id, "report") is None:
            continue
        for run in await orders.runs(order.id):
            manifest = manifests.get(run.product)
            if run.state is not RunState.DONE or run.product not in wanted - found.keys() or manifest is None:
                continue
            result = msgspec.json.decode(run.result, type=ProductResult)
            rows = [
                Row(name=one.name, label=one.label, value=one.value, unit=one.unit)
                for one in result.values
                if one.name in manifest.trend
            ]
            found[run.product] = Earlier(
                days_before=days,
                study=study,
                order=order.id,
                product=run.product,
                product_version=result.version,
                rows=rows,
            )
    return [one for one in found.values() if one.rows]


async def _day(house: House, study: str) -> date | None:
    identity = await identities.get(house.keys, study)
    try:
        return date.fromisoformat(identity.study_date) if identity else None
    except ValueError:
        return None
