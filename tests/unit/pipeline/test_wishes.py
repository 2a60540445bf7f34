"""What a study asks for by itself: products by a private attribute (REC-07)."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from appliance import pipeline, settings
from appliance.dispatch import Dispatcher
from appliance.house import House
from appliance.pipeline import open_order
from appliance.receive.header import EXPLICIT_LITTLE
from appliance.receive.part10 import Origin, prefix
from appliance.records import deliveries, orders
from appliance.records.tables import Instance
from appliance.states import ORDER_FACTS, OrderState
from appliance.worker import Worker
from tests.unit.pipeline.conftest import NOW
from tests.unit.receive.test_header import a_dataset, encoded


async def tagged(house: House, study: str, value: str | None, *, creator: str = "RANVIER", series: str = "s") -> Path:
    """One filed instance with, or without, the private attribute."""
    dataset = a_dataset()
    if value is not None:
        block = dataset.private_block(0x0019, creator, create=True)
        block.add_new(0x21, "LO", value)
    origin = Origin(sop_class="1.2.840.10008.5.1.4.1.1.4", sop_instance="1.2.3.4", transfer_syntax=EXPLICIT_LITTLE)
    path = house.storage.root / "studies" / f"{series}.dcm"
    path.write_bytes(prefix(origin) + encoded(dataset, EXPLICIT_LITTLE))
    where = house.storage.relative(path)
    row = Instance(id=series, study=study, series=series, version=1, sop_key="k", content_hash="h", path=where, bytes=1)
    await Instance.insert(row).run()
    return path


async def creator(house: House, name: str) -> None:
    loaded = await house.settings()
    wanted, changed = settings.patched(loaded.settings, {"receive": {"product_tag_creator": name}})
    await settings.save(house.keys, wanted, based_on=loaded.version, actor="a", now=NOW, changed=changed)


async def products(house: House, study: str, **more: Any) -> list[str]:
    return (await orders.get(await open_order(house, study, actor="a", now=NOW, **more))).product_list


async def test_a_study_without_the_attribute_gets_the_default_products(house: House, study: str) -> None:
    await tagged(house, study, None)
    await creator(house, "RANVIER")
    assert await products(house, study) == list((await house.settings()).settings.products.default_products)


@pytest.mark.parametrize(
    ("value", "named"), [("dti-fw", ["dti-fw"]), ("dti, dti-fw", ["dti", "dti-fw"]), ("dti\\dti", ["dti"])]
)
async def test_the_attribute_names_the_products(house: House, study: str, value: str, named: list[str]) -> None:
    """REC-07: found in any series, by its creator."""
    await tagged(house, study, None, series="a")
    await tagged(house, study, value, series="b")
    await creator(house, "RANVIER")
    assert await products(house, study) == named


async def test_another_creators_attribute_is_not_read_and_a_person_goes_before_the_attribute(house: House, study: str) -> None:
    await tagged(house, study, "dti-fw", creator="SOMEBODY ELSE")
    await creator(house, "RANVIER")
    assert await products(house, study) == ["dti"]
    await creator(house, "SOMEBODY ELSE")
    assert await products(house, study) == ["dti-fw"]
    assert await products(house, study, products=["dti"]) == ["dti"]


@pytest.mark.parametrize("value", ["Doe^Jane", "dti,unknown-product"])
async def test_an_attribute_that_names_no_product_fails_the_order_and_says_where_not_what(
    house: House, study: str, value: str
) -> None:
    """REC-07: never the default products, a named state, and the value stands nowhere."""
    await tagged(house, study, value)
    await creator(house, "RANVIER")
    order = await open_order(house, study, actor="a", now=NOW)
    assert (await orders.get(order)).product_list == []
    await Worker(house, clock=lambda: NOW).work_once(asyncio.Event())
    row = await orders.get(order)
    assert (row.state, row.code) == (OrderState.FAILED, "tagged-product-unknown")
    assert row.detail == "The private attribute (0019,0021) of the study names a product that is not installed."
    told = [str(one) for one in await house.records.run("SELECT body FROM events")]
    assert not any("Doe" in one or "unknown-product" in one for one in [*told, row.detail])
    assert ORDER_FACTS[row.state].retryable


async def test_while_delivery_is_paused_nothing_is_claimed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """REC-14: reports wait and count no attempt; afterwards they are claimed again."""
    claims: list[str] = []

    async def claim(*_: object, **named: object) -> None:
        claims.append(str(named["worker"]))

    monkeypatch.setattr(deliveries, "claim", claim)
    await pipeline.set_paused(house, True, actor="a", now=NOW, section="delivery")
    assert not await Dispatcher(house, "w").deliver_once()
    assert claims == []
    await pipeline.set_paused(house, False, actor="a", now=NOW, section="delivery")
    assert not await Dispatcher(house, "w").deliver_once()
    assert claims == ["w"]
