"""The settings: one schema, patches with a problem for each field, versions, sealed secrets."""

import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.delivery.section import DicomPdf, Rest
from appliance.errors import Misconfigured, Unknown
from appliance.fields import UNCHANGED, Secret, masked, section_fields, to_plain
from appliance.keys import Keys, SealBroken
from appliance.records import events
from appliance.records import settings as rows
from appliance.records.engine import Records, migrate
from appliance.settings import (
    Bootstrap,
    Settings,
    SettingsRefused,
    SettingsStale,
    cross_check,
    load,
    load_bootstrap,
    load_version,
    patched,
    restarts,
    save,
    save_bootstrap,
    schema,
    section_types,
    shown,
)

SECRET = "Tr0ub4dor&3-of-the-hospital"
KEYS = Keys(bytes(range(32)))
REST = {"protocol": "rest", "name": "archive", "url": "https://archive.example/in", "authentication": "token", "secret": SECRET}
PACS = {"protocol": "dicom-pdf", "name": "pacs", "host": "pacs.example"}


def _with_archive() -> Settings:
    return patched(Settings(), {"delivery": {"destinations": [REST, PACS]}})[0]


@pytest.fixture
async def records(migrated_url: str) -> AsyncIterator[Records]:
    async with Records(migrated_url) as opened:
        yield opened


def _properties() -> dict[str, dict[str, Any]]:
    definitions = schema()["$defs"]
    return {name: definitions[kind.__name__] for name, kind in section_types().items()}


def test_the_schema_has_every_section_under_its_title() -> None:
    sections = _properties()
    assert set(sections) == set(Settings.__struct_fields__)
    for name, kind in section_types().items():
        assert sections[name]["description"] == (kind.__doc__ or "").strip().splitlines()[0]
        assert list(sections[name]["properties"]) == list(kind.__struct_fields__)
        assert sections[name]["additionalProperties"] is False


def test_every_field_of_every_section_has_a_title_and_a_default() -> None:
    """UI-04: every setting in typed forms."""
    for name, section in _properties().items():
        for key, described in section["properties"].items():
            assert described.get("title"), f"{name}.{key}"
            assert "default" in described or described.get("format") == "password", f"{name}.{key}"


def test_a_destination_is_one_of_the_known_protocols() -> None:
    items = schema()["$defs"]["DeliverySection"]["properties"]["destinations"]["items"]
    assert set(items["discriminator"]["mapping"]) >= {"dicom-pdf", "rest"}


def test_the_defaults_agree_with_each_other() -> None:
    assert cross_check(Settings()) == []


def test_a_check_that_is_switched_off_must_exist() -> None:
    """QC-05: a misspelt name would leave the check on without a word."""
    section = msgspec.structs.replace(Settings().qc, switched_off=("image-nois", "age"))
    (found,) = cross_check(msgspec.structs.replace(Settings(), qc=section))
    assert found.field == "qc.switched_off"
    assert "image-noise" in found.message


def test_a_patch_changes_the_named_fields_only() -> None:
    new, changed = patched(Settings(), {"receive": {"port": 11112, "ae_title": "RANVIER_SCP"}, "qc": {"switched_off": ["age"]}})
    assert changed == ["receive.port", "qc.switched_off"]
    assert (new.receive.port, new.qc.switched_off) == (11112, ("age",))
    assert msgspec.structs.replace(new, receive=Settings().receive, qc=Settings().qc) == Settings()


def test_every_wrong_field_of_a_patch_is_named_at_once() -> None:
    with pytest.raises(SettingsRefused) as caught:
        patched(
            Settings(),
            {"receive": {"port": 0, "ae_title": "x" * 17, "colour": "red"}, "access": {"idle_hours": "x"}, "none": {}},
        )
    assert {problem.field for problem in caught.value.problems} == {
        "receive.ae_title",
        "receive.port",
        "receive.colour",
        "access.idle_hours",
        "none",
    }
    messages = {problem.field: problem.message for problem in caught.value.problems}
    assert messages["receive.ae_title"] == "1 to 16 characters without backslash and outer spaces"
    assert messages["receive.colour"] == "there is no such field"
    assert messages["none"] == "there is no such section"
    assert caught.value.field == caught.value.problems[0].field


def test_a_problem_never_repeats_a_secret() -> None:
    with pytest.raises(SettingsRefused) as caught:
        patched(Settings(), {"delivery": {"destinations": [{**REST, "url": "not an address", "secret": SECRET}]}})
    assert SECRET not in f"{caught.value} {caught.value.problems}"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"receive": {"port": 3001}}, "access.port"),
        ({"products": {"default_products": []}}, "products.default_products"),
        ({"delivery": {"destinations": [PACS, PACS]}}, "delivery.destinations"),
    ],
)
def test_sections_that_contradict_each_other_are_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsRefused) as caught:
        patched(Settings(), change)
    assert [problem.field for problem in caught.value.problems] == [field]


def test_a_sixth_destination_is_refused() -> None:
    """RES-02: up to five result destinations."""
    many = [{**PACS, "name": f"pacs {number}"} for number in range(6)]
    assert len(patched(Settings(), {"delivery": {"destinations": many[:5]}})[0].delivery.destinations) == 5
    with pytest.raises(SettingsRefused):
        patched(Settings(), {"delivery": {"destinations": many}})


def test_a_secret_is_shown_as_unchanged_and_stays_when_written_back() -> None:
    before = _with_archive()
    seen = shown(before)
    assert SECRET not in str(seen)
    assert seen["delivery"]["destinations"][0]["secret"] == UNCHANGED
    back = [{**seen["delivery"]["destinations"][0], "timeout_s": 5}, seen["delivery"]["destinations"][1]]
    after, changed = patched(before, {"delivery": {"destinations": back[::-1]}})
    assert changed == ["delivery.destinations"]
    archive = after.delivery.destinations[1]
    assert isinstance(archive, Rest) and isinstance(after.delivery.destinations[0], DicomPdf)
    assert (archive.secret, archive.timeout_s) == (Secret(SECRET), 5)


def test_a_secret_can_be_replaced_and_taken_away() -> None:
    for new in ("another", ""):
        after, _ = patched(_with_archive(), {"delivery": {"destinations": [{**REST, "secret": new}]}})
        archive = after.delivery.destinations[0]
        assert isinstance(archive, Rest)
        assert archive.secret == Secret(new)


@pytest.mark.parametrize(
    ("changed", "processes"),
    [
        (["site.name", "qc.switched_off"], set()),
        (["receive.port"], {"receive"}),
        (["access.port", "receive.ae_title", "compute.workers"], {"api", "receive", "work"}),
    ],
)
def test_a_change_says_which_processes_start_anew(changed: list[str], processes: set[str]) -> None:
    assert restarts(changed) == processes


async def test_nothing_saved_is_version_zero_with_the_defaults(records: Records) -> None:
    loaded = await load(KEYS)
    assert (loaded.version, loaded.settings) == (0, Settings())


async def test_each_save_is_a_version_that_stays(records: Records) -> None:
    first = await save(KEYS, _with_archive(), based_on=0, actor="ada", now=1000, changed=["delivery.destinations"])
    other = patched(first.settings, {"site": {"name": "north"}})[0]
    second = await save(KEYS, other, based_on=1, actor="bob", now=2000, changed=["site.name"])
    assert (first.version, second.version) == (1, 2)
    assert (await load(KEYS)) == second
    assert (await load_version(KEYS, 1)) == first
    assert [(row.version, row.saved_by, row.saved_at) for row in await rows.history()] == [(2, "bob", 2000), (1, "ada", 1000)]
    assert [one.event.text() for one in await events.after(0)] == [
        "Settings version 1 saved by ada: delivery.destinations.",
        "Settings version 2 saved by bob: site.name.",
    ]
    with pytest.raises(Unknown):
        await load_version(KEYS, 3)


async def test_a_save_based_on_an_older_version_is_refused(records: Records) -> None:
    await save(KEYS, Settings(), based_on=0, actor="ada", now=1, changed=[])
    with pytest.raises(SettingsStale, match="version 1"):
        await save(KEYS, _with_archive(), based_on=0, actor="bob", now=2, changed=[])
    assert (await load(KEYS)).version == 1
    assert len(await events.after(0)) == 1


async def test_settings_that_contradict_each_other_cannot_be_saved(records: Records) -> None:
    bad = msgspec.structs.replace(Settings(), products=msgspec.structs.replace(Settings().products, default_products=()))
    with pytest.raises(SettingsRefused):
        await save(KEYS, bad, based_on=0, actor="ada", now=1, changed=[])
    assert (await load(KEYS)).version == 0


async def test_a_secret_stands_nowhere_readable_in_the_database_file(tmp_path: Path) -> None:
    """CLD-02 in its plain form: secrets are stored encrypted."""
    async with Records(f"sqlite://{tmp_path / 'ranvier.db'}") as opened:
        await migrate(opened)
        saved = await save(KEYS, _with_archive(), based_on=0, actor="ada", now=1, changed=["delivery.destinations"])
        assert (await load(KEYS)).settings == saved.settings
        with pytest.raises(SealBroken):
            await load(Keys(bytes(32)))
    gc.collect()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"archive.example" in written
    for form in (SECRET.encode(), SECRET.encode("utf-16-le"), SECRET.encode().hex().encode(), b"VHIwdWI0ZG9y"):
        assert form not in written


def test_the_address_of_the_database_is_known_before_the_database(tmp_path: Path) -> None:
    assert load_bootstrap(tmp_path).url(tmp_path) == f"sqlite://{tmp_path / 'ranvier.db'}"
    url = 'postgresql://ranvier:a"b\\c@db.example/ranvier'
    save_bootstrap(tmp_path, Bootstrap(database=url))
    assert load_bootstrap(tmp_path).url(tmp_path) == url


@pytest.mark.parametrize("text", ["database = ", "databse = 'x'", "database = 3"])
def test_a_damaged_bootstrap_file_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "ranvier.toml").write_text(text)
    with pytest.raises(Misconfigured) as caught:
        load_bootstrap(tmp_path)
    assert caught.value.field.startswith("ranvier.toml")


def test_every_section_stands_in_the_room_that_it_sets() -> None:
    rooms = {name: kind.__module__ for name, kind in section_types().items()}
    assert rooms.pop("site") == "appliance.settings_schema"
    other = {
        "uploads": "receive",
        "nodes": "receive",
        "drops": "receive",
        "saml": "access",
        **dict.fromkeys(("heartbeat", "scheduler", "retention", "logs", "metrics", "audit"), "upkeep"),
    }
    assert rooms == {name: f"appliance.{other.get(name, name)}.section" for name in rooms}


def _set(section: str, **fields: Any) -> list[tuple[str, str]]:
    """What is wrong with setting these fields of new settings."""
    try:
        patched(Settings(), {section: fields})
    except SettingsRefused as refused:
        return [(one.field, one.message) for one in refused.problems]
    return []


def test_what_no_part_of_this_version_reads_is_refused_with_its_reason() -> None:
    """UI-04: nobody is deceived by a switch that does nothing."""
    asked: list[tuple[str, str, Any]] = [
        ("heartbeat", "health", False),
    ]
    for section, name, value in asked:
        ((field_name, message),) = _set(section, **{name: value})
        assert field_name == f"{section}.{name}"
        assert message.startswith("is not available in this version: ")
        default = to_plain(getattr(getattr(Settings(), section), name), masked)
        assert _set(section, **{name: default}) == []


def test_the_upload_portal_needs_the_malware_scanner() -> None:
    """UPL-07: what people without an account hand in never passes without a scan."""
    ((field_name, _),) = _set("portal", enabled=True)
    assert field_name == "portal.enabled"
    changed, _ = patched(Settings(), {"portal": {"enabled": True}, "scan": {"enabled": True}})
    assert changed.portal.enabled


def test_a_field_that_does_not_apply_is_refused_with_its_condition() -> None:
    """DEID-11: with local processing the section is read-only with its defaults, and says why."""
    why = "applies only when compute.mode is cloud or hub; it is local"
    assert _set("deidentify", shift_dates=False) == [("deidentify.shift_dates", why)]
    assert _set("deidentify", shift_dates=True) == []
    assert _set("scheduler", cron="5 4 * * *")[0][1] == "applies only when scheduler.cadence is cron; it is hourly"
    assert _set("scheduler", cadence="cron", cron="5 4 * * *") == []
    assert _set("compute", cores=2, memory_mb=4096) == []


def test_every_condition_names_a_field_and_values_that_it_can_have() -> None:
    conditions = 0
    for name, kind in section_types().items():
        for key, meta in section_fields(kind).items():
            for condition in filter(
                None, str((meta.extra_json_schema or {}).get("x-applies-when", "") if meta else "").split(", ")
            ):
                where, _, values = condition.partition("=")
                section, _, wanted = where.partition(".")
                other = schema()["$defs"][section_types()[section].__name__]["properties"][wanted]
                assert set(values.split("|")) <= set(other["enum"]), f"{name}.{key}"
                conditions += 1
    assert conditions >= 8


GUIDE = {
    "cloud": "api_url service_user service_password show_external_orders upload_retries",
    "saml": "enabled mode idp_entity_id idp_sso_url idp_slo_url idp_certificate idp_metadata_url sp_entity_id sp_base_url "
    "name_id_format require_signed_assertions admin_group user_group",
    "receive": "ae_title allowed_callers quiet_seconds tls tls_certificate tls_key tls_authority product_tag_group "
    "product_tag_element product_tag_creator",
    "products": "default_products",
    "deidentify": "shift_dates date_shift_range_days mask_zip_codes send_accession_number remove_software_versions",
    "heartbeat": "system_metrics order_statistics health",
    "uploads": "maximum_gb",
    "qc": "switched_off",
    "groups": "auto_assign send_on_completion schedule report_type filename_template",
    "notify": "protocol events cpu_percent memory_percent swap_percent disk_free_percent cool_down_minutes",
    "delivery": "destinations failure_destinations group_destinations attempts",
    "scheduler": "cadence cron",
    "compute": "mode limits workers cores memory_mb",
    "retention": "orders_days records_days logs_days",
}


@pytest.mark.parametrize("section", GUIDE)
def test_every_setting_of_the_guide_has_its_place(section: str) -> None:
    """UI-04, NOT-01, NOT-03, NOT-04, UI-07, CLD-01 to CLD-04: all sections, whether this version reads them or not."""
    assert set(GUIDE[section].split()) <= set(section_fields(section_types()[section]))


def test_the_defaults_are_those_of_the_requirements() -> None:
    """NOT-04, UPL-04, REC-02, RES-02, UI-07."""
    new = Settings()
    assert (new.retention.orders_days, new.retention.records_days, new.retention.logs_days) == (90, 0, 30)
    assert (new.uploads.maximum_gb, new.receive.ae_title, new.delivery.attempts) == (5, "RANVIER_SCP", 3)
    assert (new.deidentify.shift_dates, new.deidentify.date_shift_range_days) == (True, 365)
    assert (new.saml.sp_entity_id, new.saml.require_signed_assertions, new.compute.limits) == ("ranvier", True, True)
