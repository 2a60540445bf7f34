"""The data-flow page says what the settings do."""

from typing import Any

from appliance import audit, settings
from appliance.moments import iso, now_ms
from appliance.records import notices, trail
from tests.api.conftest import Door, Filed, a_report, an_order

SECRET = "Very-Secret-Token-1"
CHANGE: dict[str, Any] = {
    "delivery": {
        "destinations": [
            {"protocol": "dicom-pdf", "name": "PACS", "host": "pacs.example", "port": 11112},
            {
                "protocol": "rest",
                "name": "HIS",
                "url": "https://his.example/in?key=" + SECRET,
                "identity_in_values": True,
                "body": '{"id": "$patient_id", "file": "$content"}',
            },
            {"protocol": "rest", "name": "Archive", "url": "http://archive.example/in", "secret": SECRET},
        ],
        "study_destinations": [
            {"protocol": "dicom-study", "name": "Images", "host": "images.example", "called_ae": "IMAGES", "tls": True},
            {"protocol": "stow-study", "name": "Web", "url": "http://images.example/dicom-web", "send": "asked"},
        ],
    },
    "compute": {"scheduler": "tcp://127.0.0.1:8786"},
    "audit": {"syslog": "udp", "syslog_host": "logs.example"},
    "nodes": {"nodes": [{"name": "Store", "host": "store.example", "called_ae": "STORE", "tls": True}]},
}


async def test_every_destination_of_the_settings_is_shown_with_what_it_gets(door: Door, filed: Filed) -> None:
    """UI-12: what it gets, identified or not, encrypted or not, last use."""
    assert await door.get("/api/data-flow") == []
    result, changed = settings.patched((await door.house.settings()).settings, CHANGE)
    await door.house.save(result, based_on=0, actor="test", now=now_ms(), changed=changed)
    order = await an_order(door.house, filed.study)
    report = await a_report(door.house, filed.study, order)
    await door.house.records.run(
        "INSERT INTO deliveries (id, report, order_id, destination, state, sent_at) VALUES ('d', {}, {}, 'HIS', 'SENT', {})",
        report,
        order,
        1_790_000_000_000,
    )
    answer = await door.call("admin", "GET", "/api/data-flow")
    found = {one["name"]: one for one in answer.json()}
    assert {name: (one["identified"], one["encrypted"]) for name, one in found.items()} == {
        "PACS": ("yes", "no"),
        "HIS": ("yes", "yes"),
        "Archive": ("no", "no"),
        "Images": ("no", "yes"),
        "Web": ("no", "no"),
        "Cluster": ("no", "no"),
        "Syslog": ("no", "no"),
        "Store": ("yes", "yes"),
    }
    assert found["HIS"]["last_use"] == "2026-09-21T14:13:20.000Z"
    assert found["PACS"]["last_use"] is None
    assert found["PACS"]["address"] == "PACS@pacs.example:11112"
    assert SECRET not in answer.text
    assert (await door.call("user", "GET", "/api/data-flow")).status_code == 403


async def test_the_last_use_of_nodes_notices_and_the_audit_repository_is_shown(door: Door) -> None:
    """UI-12: last use, of whatever the records tell."""
    change = {
        "nodes": {
            "nodes": [{"name": one, "host": "store.example", "called_ae": "STORE"} for one in ("Asked", "Pulled", "New")]
        },
        "notify": {"events": ["qc-failed"], "protocol": "email", "smtp_host": "mail.example"},
        "audit": {"syslog": "tls", "syslog_host": "logs.example", "syslog_port": 6514, "messages": True},
    }
    result, changed = settings.patched((await door.house.settings()).settings, change)
    await door.house.save(result, based_on=0, actor="test", now=now_ms(), changed=changed)
    at = 1_790_000_000_000
    await audit.append("meyer", "node.find", "node/Asked", "done", "10.0.0.9", at, "STUDY")
    await door.house.records.run(
        "INSERT INTO pulls (id, node, state, created_at, ended_at, attempt) VALUES ('p', 'Pulled', 'DONE', {}, {}, 1)",
        at,
        at + 1,
    )
    row = notices.NoticeRow(
        id="n", seq=1, subject="qc-failed", severity="warning", route="email", state="sent", reason="", digest=False, attempt=1,
        worker="", lease_until=0, not_before=0, at=at, sent_at=at + 2, topic="", body="{}",
    )  # fmt: skip
    await notices.add(door.house.records, row)
    await trail.note(trail.Mark(destination="logs.example:6514", seq=1, at=at + 3))
    found = {one["name"]: one["last_use"] for one in await door.get("/api/data-flow")}
    expected = {"Asked": iso(at), "Pulled": iso(at + 1), "New": None, "Notices": iso(at + 2), "Syslog": iso(at + 3)}
    assert found == expected


def test_every_setting_that_names_a_host_is_on_the_page() -> None:
    """Whoever adds a section that sends must say so here and on the page."""
    hosts = set()
    for name, section in settings.section_types().items():
        for field in section.__struct_fields__:
            if field.endswith(("url", "host", "scheduler", "destinations", "nodes")):
                hosts.add(f"{name}.{field}")
    not_outbound = {"access.host", "receive.host", "saml.sp_base_url"}
    browsers_only = {"saml.idp_sso_url", "saml.idp_slo_url"}
    assert hosts - not_outbound - browsers_only == {
        "audit.syslog_host",
        "cloud.api_url",
        "compute.scheduler",
        "delivery.destinations",
        "delivery.failure_destinations",
        "delivery.group_destinations",
        "delivery.study_destinations",
        "nodes.nodes",
        "notify.smtp_host",
        "notify.url",
        "notify.webhook_url",
        "saml.idp_metadata_url",
        "scan.host",
    }
