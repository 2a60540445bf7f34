"""Anchors of the audit leave the machine: log, syslog, support bundle."""

import json
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance import anchors, audit, logs, schedule, settings, support
from appliance.house import House, open_house
from appliance.moments import new_id, now_ms
from appliance.records import orders
from appliance.records.tables import Order, Study
from appliance.upkeep import syslog
from tests.collectors import a_collector, lines_of

NOW = 1_790_000_000_000


@pytest.fixture
async def house(new_home: Path) -> AsyncIterator[House]:
    async with open_house(new_home, create=True) as opened:
        yield opened


async def _named(house: House, transport: str, port: int) -> None:
    change = {"audit": {"syslog": transport, "syslog_host": "127.0.0.1", "syslog_port": port}}
    loaded = await house.settings()
    result, changed = settings.patched(loaded.settings, change)
    await house.save(result, based_on=loaded.version, actor="test", now=NOW, changed=changed)


async def test_a_syslog_server_gets_an_anchor_that_verify_takes(house: House, tmp_path: Path) -> None:
    """UI-10: RFC 5424 over UDP and TCP, read by Debian's rsyslog."""
    with a_collector(tmp_path) as (port, received):
        for number, transport in enumerate(("udp", "tcp"), start=1):
            await audit.append("anna", "sign-in", "", "done", "10.0.0.9", NOW)
            await _named(house, transport, port)
            sent = await anchors.publish(house, NOW)
            said = lines_of(received, number)[-1].split("|")
            assert said[0].startswith(("audit.info", "local5.info", "security.info")) or said[0].endswith("<110>"), said
            assert said[1:4] == ["1", "ranvier", "anchor"]
            assert said[4] == f'[anchor@32473 rows="{sent.rows}" head="{sent.head}" anchor="{sent.text}"]'
            assert sent.text in said[5]
            kept = "".join(re.findall(r"ranvier-audit-1:\S+", said[5]))
            assert (await audit.verify(audit.read_anchor(house.keys, kept))).ok
    await house.records.run("UPDATE audit SET actor = 'somebody' WHERE seq = 1")
    assert not (await audit.verify(audit.read_anchor(house.keys, kept))).ok


async def test_a_syslog_server_that_is_away_keeps_nothing_from_going_on(
    house: House, caplog: pytest.LogCaptureFixture, free_port: int
) -> None:
    await _named(house, "tcp", free_port)
    with caplog.at_level("INFO"):
        found = await anchors.publish(house, NOW)
    assert [getattr(one, "code", "") for one in caplog.records] == ["audit-anchor", "syslog-away"]
    assert caplog.records[0].anchor == found.text  # type: ignore[attr-defined]


def test_a_log_line_holds_the_anchor_as_a_field(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        anchors.log.info("audit anchor", extra={"code": "audit-anchor", "anchor": "ranvier-audit-1:x"})
    line = json.loads(logs.JsonLines("work").format(caplog.records[0]))
    assert (line["code"], line["anchor"]) == ("audit-anchor", "ranvier-audit-1:x")


async def test_anchors_leave_at_the_cadence_of_the_settings(house: House, caplog: pytest.LogCaptureFixture) -> None:
    runner = schedule.Runner(house)
    minute = 60_000
    with caplog.at_level("INFO"):
        for moment in (0, minute, 59 * minute, 60 * minute, 61 * minute, 121 * minute):
            await runner.look(NOW + moment, moment / 1000)
            await runner.settled()
    assert len([one for one in caplog.records if getattr(one, "code", "") == "audit-anchor"]) == 3


async def test_every_support_bundle_carries_an_anchor(house: House) -> None:
    """UI-10: anchors leave with the support bundle."""
    study, order = new_id(), new_id()
    await Study.insert(Study(id=study, uid_key="k", state="STABLE", first_at=NOW, last_at=NOW)).run()
    await Order.insert(Order(id=order, study=study, state="HELD", created_at=NOW, updated_at=NOW)).run()
    await audit.append("anna", "sign-in", "", "done", "", NOW)
    path = await support.write_bundle(house, (await house.settings()).settings, await orders.get(order), "", now=now_ms())
    with zipfile.ZipFile(path) as bundle:
        kept = json.loads(bundle.read("audit.json"))["anchor"]
    assert audit.read_anchor(house.keys, kept).rows == 1
    assert (await audit.verify(audit.read_anchor(house.keys, kept))).ok


def test_structured_data_cannot_be_broken_out_of() -> None:
    """RFC 5424, section 6.3.3: quotes, backslashes and closing brackets are escaped."""
    line = syslog.line(NOW, "anchor", {"head": 'a"] b\\'}, "text").decode("utf-8-sig", "replace")
    assert '[anchor@32473 head="a\\"\\] b\\\\"]' in line
    assert re.match(r"<110>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ ranvier \d+ anchor \[", line)
