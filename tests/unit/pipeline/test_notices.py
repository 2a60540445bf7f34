"""Notices from the event row to the other side: once, recorded, by every way, and by nobody's name (NOT-01, NOT-02)."""

import hashlib
import hmac
import json

import msgspec
import pytest

from appliance import notices
from appliance.events import MetricHigh, OrderMoved, QcFailed, QcPassed
from appliance.fields import Secret
from appliance.house import House
from appliance.notify.section import NotifySection, Rule
from appliance.records import events, identities
from appliance.records import notices as rows
from appliance.records.identities import PatientIdentity
from appliance.upkeep.machine import Readings
from tests.servers import HOST
from tests.unit.delivery.parcels import an_endpoint
from tests.unit.pipeline.conftest import NOW
from tests.unit.probes.test_probes import a_mail_server

MINUTE = 60_000
NAME = "Ranvier^Louise"


async def set_to(house: House, section: NotifySection) -> None:
    loaded = await house.settings()
    wanted = msgspec.structs.replace(loaded.settings, notify=section)
    await house.save(wanted, based_on=loaded.version, actor="test", now=NOW, changed=["notify"])


def to_a_webhook(port: int, **more: object) -> NotifySection:
    section = NotifySection(
        events=("qc-failed", "qc-passed", "high-memory", "metric-recovered"),
        protocol="webhook",
        webhook_url=f"http://{HOST}:{port}/hook",
        webhook_key=Secret("key of the site"),
        own_machine=True,
    )
    return msgspec.structs.replace(section, **more)


async def failed(house: House, study: str, what: str = "age", *, now: int = NOW) -> None:
    await events.append(QcFailed(study=study, order=f"order of {what}", failed=what), now)


async def recorded() -> list[tuple[str, str]]:
    return [(one.state, one.reason) for one in reversed((await rows.page())[0])]


@pytest.fixture
async def begun(house: House) -> House:
    """A house whose events have been read to their end."""
    await notices.tend(house, NOW)
    return house


async def test_an_event_is_posted_once_and_signed(begun: House, study: str) -> None:
    """NOT-01: webhook with a documented signed body; NOT-02: recorded as sent."""
    with an_endpoint(200) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port))
        await failed(begun, study)
        await events.append(OrderMoved(study=study, old="QC", new="QUEUED"), NOW)
        for _ in range(3):
            await notices.tend(begun, NOW)
        (got,) = endpoint.got
    body, headers = json.loads(got["body"]), {name.lower(): value for name, value in got["headers"].items()}
    (line,) = body["notices"]
    assert (body["schema"], body["site"], line["event"], line["severity"]) == (
        "ranvier-notice/1",
        "ranvier",
        "qc-failed",
        "warning",
    )
    assert (line["text"], line["study"], line["patient"]) == ("QC failed: age.", study, "")
    stamp, _, signed = headers["ranvier-signature"].partition(",v1=")
    signing = stamp.removeprefix("t=").encode() + b"." + got["body"]
    assert signed == hmac.new(b"key of the site", signing, hashlib.sha256).hexdigest()
    assert headers["idempotency-key"] == body["id"]
    assert await recorded() == [("sent", "The webhook answered HTTP 200.")]


async def test_a_webhook_that_is_down_is_tried_three_times_and_one_that_refuses_is_not(begun: House, study: str) -> None:
    with an_endpoint(503, 503, 503) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port))
        await failed(begun, study)
        for minute in range(6):
            await notices.tend(begun, NOW + minute * MINUTE)
        assert len(endpoint.got) == 3
        assert len({one["headers"]["Idempotency-Key"] for one in endpoint.got}) == 1
    assert await recorded() == [("failed", "The webhook answered HTTP 503.")]
    with an_endpoint(403) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port))
        await failed(begun, study, "sex", now=NOW + 9 * MINUTE)
        await notices.tend(begun, NOW + 9 * MINUTE)
        await notices.tend(begun, NOW + 99 * MINUTE)
        assert len(endpoint.got) == 1


async def test_the_same_is_not_told_again_within_its_cool_down(begun: House, study: str) -> None:
    """NOT-02: suppressed is recorded, with the reason."""
    with an_endpoint(200) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port))
        for minute in (0, 10, 61):
            await failed(begun, study, now=NOW + minute * MINUTE)
            await notices.tend(begun, NOW + minute * MINUTE)
        assert len(endpoint.got) == 2
    assert [state for state, _ in await recorded()] == ["sent", "suppressed", "sent"]
    assert (await recorded())[1][1] == "cool-down: the same was told 10 minutes ago"


async def test_a_digest_is_one_message_of_all_that_waited(begun: House, study: str) -> None:
    with an_endpoint(200) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port, digest_minutes=15))
        for name in ("age", "sex", "series"):
            await failed(begun, study, name)
        await notices.tend(begun, NOW)
        assert endpoint.got == []
        await notices.tend(begun, NOW + 15 * MINUTE)
        (got,) = endpoint.got
    assert [one["text"] for one in json.loads(got["body"])["notices"]] == [
        "QC failed: age.",
        "QC failed: sex.",
        "QC failed: series.",
    ]


async def test_a_mail_names_the_patient_only_where_the_setting_allows_it(begun: House, study: str) -> None:
    """NOT-01: e-mail; no PHI unless allowed by a setting. The records hold none in either case."""
    await identities.put(begun.keys, study, PatientIdentity(patient_name=NAME, patient_id="4711"))
    with a_mail_server() as (box, port):
        for number, allowed in enumerate((False, True)):
            section = NotifySection(
                events=("qc-failed",), protocol="email", smtp_host=HOST, smtp_port=port, smtp_security="none",
                sender="ranvier@site.example", recipients="a@site.example",
            )  # fmt: skip
            loaded = (await begun.settings()).settings
            settings = msgspec.structs.replace(loaded, notify=msgspec.structs.replace(section, identity=allowed))
            await failed(begun, study, f"check {number}")
            await notices.read_on(begun, settings, NOW)
            assert await notices.send_once(begun, settings, NOW)
    plain, named = (one.decode() for one in box.got)
    assert NAME not in plain
    assert "4711" not in plain
    assert "Subject: Ranvier ranvier: Quality control failed" in plain
    assert NAME in named
    assert NAME not in repr((await rows.page())[0])


async def test_one_event_goes_by_several_ways_and_each_is_recorded(begun: House, study: str) -> None:
    """NOT-01: destinations of an event; any Apprise URL of the allow-list."""
    with an_endpoint(200) as hook, an_endpoint(200) as messenger:
        rule = Rule(name="qc-failed", routes=("webhook", "apprise", "email"))
        url = Secret(f"json://{HOST}:{messenger.port}/x")
        await set_to(begun, to_a_webhook(hook.port, url=url, rules=(rule,)))
        await failed(begun, study)
        await notices.tend(begun, NOW)
        assert (len(hook.got), len(messenger.got)) == (1, 1)
        assert json.loads(messenger.got[0]["body"])["title"] == "Ranvier ranvier: Quality control failed"
    states = {one.route: one.state for one in (await rows.page())[0]}
    assert states == {"webhook": "sent", "apprise": "sent", "email": "failed"}, "no mail server is set"


async def test_a_process_that_died_over_a_message_is_followed_by_one_that_sends_it_again(begun: House, study: str) -> None:
    """Each event has one row for each way however often it is read; a claim that nobody settles runs out."""
    with an_endpoint(200) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port))
        settings = (await begun.settings()).settings
        await failed(begun, study)
        await notices.read_on(begun, settings, NOW)
        await begun.records.run("UPDATE marks SET seq = 0 WHERE name = 'notices'")
        await notices.read_on(begun, settings, NOW)
        assert len(await rows.claim(begun.records, worker="gone", now=NOW, lease_ms=1000)) == 1
        await notices.tend(begun, NOW + 500)
        assert endpoint.got == []
        await notices.tend(begun, NOW + 1000)
        assert len(endpoint.got) == 1
    assert [state for state, _ in await recorded()] == ["sent"]


async def test_a_machine_under_pressure_is_told_and_its_recovery_too(begun: House) -> None:
    """NOT-01: by injected readings."""
    calm = Readings(cpu=5, memory=20, swap=0, disk_free=80)
    watch = notices.MachineWatch()
    with an_endpoint(200) as endpoint:
        await set_to(begun, to_a_webhook(endpoint.port))
        for number, reading in enumerate([calm._replace(memory=97)] * 4 + [calm] * 4):
            await watch.look(begun, reading, NOW + number * 10_000)
            await notices.tend(begun, NOW + number * 10_000)
        texts = [json.loads(one["body"])["notices"][0]["text"] for one in endpoint.got]
    assert [one.split(" of ")[0] for one in texts] == ["Memory", "Memory"]
    assert ["is at 97 %" in texts[0], "is back at 20 %" in texts[1]] == [True, True]
    assert [type(one.event) for one in await events.named((MetricHigh.name(),), after=0)] == [MetricHigh]


async def test_nothing_is_told_of_what_happened_before_anybody_listened(house: House, study: str) -> None:
    with an_endpoint(200) as endpoint:
        await events.append(QcPassed(study=study, passed=1, checks=1, bypassed=0), NOW)
        await set_to(house, to_a_webhook(endpoint.port))
        await notices.tend(house, NOW)
        await notices.tend(house, NOW)
        assert endpoint.got == []
