"""Two appliances: one receives and reports, the other is its cloud; between them a line that is listened to, held and cut."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from appliance.access.tokens import create_token
from appliance.house import House
from appliance.moments import now_ms
from appliance.states import OrderState
from tests.journeys.line import Line, a_line
from tests.journeys.world import World, a_world, places_of
from tests.phantoms import a_small_diffusion_study
from tests.servers import HOST, StoreScp, answers, until

PUT = b"PUT /cloud/objects/"


@contextmanager
def two_appliances(folder: Path, pacs: StoreScp, cuts: list[int]) -> Iterator[tuple[World, World, Line]]:
    """The one that receives, its cloud, and the line between them."""
    with a_world(folder / "hub", {"hub": {"enabled": True}}) as hub, a_line(hub.api_port, cuts) as line:

        async def key(house: House) -> str:
            made = await create_token(
                house.keys, "clinic", "service", created_by="test", now=now_ms(), scopes=frozenset({"hub.use"})
            )
            return made.secret

        cloud = {
            "protocol": "sdk",
            "api_url": f"http://{HOST}:{line.port}/cloud",
            "api_key": hub.ask(key),
            "own_machine": True,
            "part_kb": 64,
        }
        destination = {
            "protocol": "dicom-pdf",
            "name": "PACS",
            "host": pacs.host,
            "port": pacs.port,
            "called_ae": pacs.ae_title,
        }
        change = {
            "compute": {"mode": "hub"},
            "cloud": cloud,
            "delivery": {"destinations": [destination], "first_wait_s": 0},
        }
        with a_world(folder / "agent", change) as agent:
            yield agent, hub, line


def again(world: World, word: str) -> None:
    world.kill(word)
    world.start(word)


@pytest.mark.long
def test_a_study_goes_to_the_hub_and_its_report_comes_back_whatever_dies_on_the_way(tmp_path: Path, storescp: StoreScp) -> None:
    """CLD-01, CLD-05, PRO-07, faults and threats rows 2 and 21: every process killed once, the line cut four times.

    One order and one report come of it, no finished part is sent twice, and nothing of the patient reaches the hub.
    """
    phantom = a_small_diffusion_study(tmp_path / "study")
    chance = random.Random(12)
    cuts = [chance.randrange(1, 40_000) for _ in range(4)]
    with two_appliances(tmp_path, storescp, cuts) as (agent, hub, line):
        line.marker = PUT
        line.hold.clear()
        for word in ("api", "work"):
            hub.start(word)
        for word in ("receive", "work"):
            agent.start(word)
        until(lambda: answers(agent.dicom_port) and answers(hub.api_port), "both appliances", 90)
        agent.send(tmp_path / "study")
        order = agent.the_order().id
        again(agent, "receive")
        until(line.passed.is_set, "the upload", 240)
        again(agent, "work")
        line.hold.set()
        until(lambda: bool(agent.rows("SELECT id FROM cloud_orders WHERE sent > 0")), "a part that is complete", 240)
        again(hub, "api")
        until(lambda: bool(hub.rows("SELECT id FROM hub_orders WHERE order_id <> ''")), "the order at the hub", 240)
        again(hub, "work")
        hub.wait_for(hub.the_order().id, OrderState.DELIVERED)
        agent.wait_for(order, OrderState.DELIVERED)

        (remote,) = agent.rows("SELECT remote, sent, started FROM cloud_orders")
        assert remote["started"]
        assert hub.rows("SELECT id FROM hub_orders WHERE asked_at > 0") == [{"id": remote["remote"]}]
        assert len(hub.orders()) == 1
        assert remote["sent"] > 1
        done = hub.rows("SELECT zip_index FROM hub_uploads WHERE done ORDER BY zip_index")
        assert [one["zip_index"] for one in done] == list(range(remote["sent"])), "no finished part is sent again"
        assert line.cuts_left == 0
        assert len(agent.rows("SELECT id FROM reports")) == 1
        (file,) = storescp.files()
        assert str(pydicom.dcmread(file, stop_before_pixels=True).PatientName) == phantom.patient.name
        sent = bytes(line.sent)
    assert not [token for token in [*phantom.identity_tokens, *phantom.uids] if token.encode() in sent]
    for token in [*phantom.identity_tokens, *phantom.uids[:3]]:
        assert places_of(token, hub.home) == [], "what left was unpacked there, whatever it was"
        assert places_of(token, agent.home, leave_out=("/original/", "journals/")) == []
