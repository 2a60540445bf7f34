"""A study whose gradient table was flipped before it came: it stops, a person agrees to the repair, and the report says so."""

from hashlib import sha256
from pathlib import Path

import pytest

from appliance.states import OrderState
from tests.journeys.test_people_decide import check_findings, failed_checks, order_after_sending, report_of, started
from tests.journeys.world import World, a_world
from tests.unit.qc.images.heads import a_brain
from tests.unit.qc.images.scanners import Direction, sent


def flipped(one: Direction) -> Direction:
    return (-one[0], one[1], one[2])


def originals(world: World) -> dict[str, str]:
    kept = (world.home / "storage" / "studies").glob("*/v1/original/*")
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in kept}


@pytest.mark.long
def test_a_flipped_table_is_repaired_with_consent_and_the_originals_stay(tmp_path: Path) -> None:
    """QC-04: from the scanner to the report; before and after, who agreed, and the pictures."""
    files = sent(a_brain(count=14), tmp_path / "flipped", "siemens", table=flipped)
    with a_world(tmp_path / "world") as world:
        visitor = started(world)
        order = order_after_sending(world, tmp_path / "flipped")
        world.wait_for(order, OrderState.QC_FAILED)
        check_findings(failed_checks(visitor, order), "gradient-table")
        received = originals(world)
        assert len(received) == len(files)
        picture = next(
            one["picture"] for one in visitor.get(f"/api/orders/{order}/qc")["findings"] if one["check"] == "gradient-table"
        )
        assert visitor.bytes_of(picture).startswith(b"\x89PNG")
        visitor.post(f"/api/orders/{order}/repair-gradients", {})
        world.wait_for(order, OrderState.DELIVERED)
        (repair,) = visitor.get(f"/api/orders/{order}/qc")["repairs"]
        assert repair["consent"]
        assert repair["after"] > 1.2 * repair["before"]
        caveats = " ".join(report_of(visitor, order)["caveats"])
        assert f"was repaired for this analysis, agreed by {repair['consent']}" in caveats
        assert f"{repair['before']:g} before, {repair['after']:g} after" in caveats
        assert originals(world) == received
        audited = [row["action"] for row in world.rows("SELECT action FROM audit")]
        assert "order.repair-gradients" in audited
        assert "order.qc-picture" in audited
