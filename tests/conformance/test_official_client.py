"""The vendor's own Python client (PyPI `neuropacs`), unmodified, against the hub of a running appliance.

Only its server URL is ours. What it does is what it prints in its own documentation: connect, order, upload, QC, run, status,
results, usage report; then every way in which the protocol's calls are refused.
"""

import asyncio
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from neuropacs import Neuropacs

from appliance import hub_intake, settings
from appliance.access.tokens import create_token
from appliance.cloud.errors import CloudRefuses
from appliance.cloud.sdk import SdkClient
from appliance.cloud.section import CloudSection
from appliance.cloud.zips import made
from appliance.fields import Secret
from appliance.house import House
from appliance.moments import now_ms
from appliance.states import ORDER_FACTS, OrderState
from tests.journeys.world import World, a_world, places_of
from tests.phantoms import PhantomStudy, a_small_diffusion_study
from tests.servers import HOST, until

PRODUCT = "dti"
PAGE = "https://portal.example.org"
FORMATS = ("txt", "xml", "json", "features", "png")


class Hub:
    """One appliance that serves the hub, and keys for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.url = f"http://{HOST}:{world.api_port}/cloud"

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/api/getPubKey", timeout=30).status_code == 200
        except requests.ConnectionError:
            return False

    def key(self, scopes: tuple[str, ...] = ("hub.use",)) -> str:
        async def make(house: House) -> str:
            made = await create_token(
                house.keys, "clinic", "service", created_by="test", now=now_ms(), scopes=frozenset(scopes)
            )
            return made.secret

        return self.world.ask(make)

    def client(self, key: str = "") -> Any:
        found = Neuropacs(self.url, key or self.key(), "conformance")
        found.connect()
        return found

    def set(self, **fields: object) -> None:
        async def change(house: House) -> None:
            loaded = await house.settings()
            after, changed = settings.patched(loaded.settings, {"hub": fields})
            await house.save(after, based_on=loaded.version, actor="test", now=now_ms(), changed=changed)

        self.world.ask(change)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    folder = tmp_path_factory.mktemp("hub")
    with a_world(folder / "world", {"hub": {"enabled": True, "origins": [PAGE]}}) as world:
        world.start("api")
        found = Hub(world)
        until(found.answers, "the hub", 90)
        yield found


@pytest.fixture(scope="module")
def working_hub(hub: Hub) -> Hub:
    """The same with its corridor: what is ordered is processed as well."""
    hub.world.start("work")
    return hub


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    return a_small_diffusion_study(tmp_path_factory.mktemp("phantom"))


def refused(call: Any, *arguments: object) -> str:
    with pytest.raises(Exception) as told:
        call(*arguments)
    return str(told.value)


def finished(client: Any, order: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def ended() -> bool:
        found[:] = [client.check_status(order)]
        assert not found[0]["failed"], found[0]
        return bool(found[0]["finished"])

    until(ended, "the order of the client", 240)
    return found[0]


def checked(client: Any, order: str, form: str) -> str:
    """QC as soon as there is an answer: until then the client is told to ask again."""
    found: list[str] = []

    def there() -> bool:
        try:
            found[:] = [client.qc_check(order, form)]
        except Exception as fault:
            assert str(fault) in (
                "QC check failed: Dataset in use, try again later.",
                "QC check failed: QC in progress.",
            ), fault
        return bool(found)

    until(there, "QC of the dataset", 120)
    return found[0]


def test_datasets_of_one_and_of_several_zips_are_uploaded_and_ordered(hub: Hub, phantom: PhantomStudy, tmp_path: Path) -> None:
    """CLD-05: connect, order, upload, run and usage report, as the client does them; every instance is filed."""
    client, orders = hub.client(), []
    for number, (study, zips) in enumerate(((phantom, 3), (a_small_diffusion_study(tmp_path / "second", seed=15), 1))):
        folder = tmp_path / f"flat{number}"
        folder.mkdir()
        for place, file in enumerate(study.files):
            shutil.copy(file, folder / f"IM_{place:04}")
        (folder / ".DS_Store").write_bytes(b"no image")
        client.max_zip_size = sum(one.stat().st_size for one in study.files) // zips
        order = client.new_job()
        orders.append(order)
        assert client.check_status(order)["started"] is False
        told: list[dict[str, Any]] = []
        assert client.upload_dataset_from_path(order, str(folder), told.append)
        assert told[-1]["progress"] == 100
        uploads = hub.world.rows("SELECT done FROM hub_uploads WHERE hub_order = {}", order)
        assert (len(uploads) > 1) is (zips > 1)
        assert all(one["done"] for one in uploads)
        uploaded = hub.world.rows("SELECT uid_key, sop_keys FROM hub_orders WHERE id = {}", order)[0]
        assert len(json.loads(uploaded["sop_keys"])) == len(study.files)
        _wait_until_filed(hub, uploaded["uid_key"], len(study.files))
        assert client.run_job(order, PRODUCT.upper()) == 202
        assert client.run_job(order, PRODUCT) == 202, "twice is once"
        assert client.check_status(order)["started"] is True
        with pytest.raises(Exception, match="run already"):
            client.upload_dataset_from_path(order, str(folder))
    day = datetime.now(UTC).strftime("%m/%d/%Y")
    usage = json.loads(client.get_report("json", day, day))
    assert [one["orderId"] for one in usage["orders"]] == orders
    assert orders[0] in client.get_report("txt", day, day)
    assert "e-mail" in refused(client.get_report, "email", day, day)
    assert not any((hub.world.home / "storage" / "hub").iterdir()), "what is unpacked is not kept twice"
    assert not any((hub.world.home / "storage" / "scratch").iterdir())


@pytest.mark.long
def test_an_order_comes_back_with_results_in_every_format(working_hub: Hub, tmp_path: Path) -> None:
    """CLD-05: from the upload to the results, and nothing of the patient beside what was received."""
    hub, study = working_hub, a_small_diffusion_study(tmp_path, seed=16)
    client = hub.client()
    order = client.new_job()
    assert client.upload_dataset_from_path(order, str(tmp_path))
    assert client.run_job(order, PRODUCT) == 202
    assert finished(client, order) == {"started": True, "finished": True, "failed": False, "progress": 100, "info": "Finished"}
    results = {form: client.get_results(order, form) for form in FORMATS}
    assert "Subject" in results["features"].splitlines()[0]
    assert json.loads(results["json"])["sections"]
    assert results["xml"].startswith("<?xml")
    assert results["png"].read(8) == b"\x89PNG\r\n\x1a\n"
    assert len(hub.world.rows("SELECT id FROM orders WHERE idempotency_key = {}", order)) == 1
    until(lambda: _at_rest(hub), "the orders of the other tests", 240)
    for token in [*study.identity_tokens, *study.uids[:3]]:
        assert places_of(token, hub.world.home, leave_out=("/original/", "journals/")) == []


def test_the_order_test_is_finished_for_every_key(hub: Hub) -> None:
    """CLD-05: what the vendor's own test-suite asks of every server."""
    client = hub.client()
    status = client.check_status("TEST")
    assert status["finished"] is True
    assert status["progress"] and status["info"]
    results = {form: client.get_results("TEST", form) for form in FORMATS}
    assert "Subject" in results["features"]
    assert results["png"].read(8) == b"\x89PNG\r\n\x1a\n"
    assert all(results.values())


def test_every_refusal_is_the_sentence_that_clients_know(hub: Hub) -> None:
    """CLD-05: the protocol's error strings, behind the client's own words for the call."""
    assert refused(hub.client, "nobody's key") == "Connection failed: API key not found."
    assert refused(hub.client, hub.key(("results.read",))) == "Connection failed: API key not found."
    client = hub.client()
    nothing = "11111111-1111-4111-8111-111111111111"
    assert refused(client.check_status, nothing) == "Status check failed: Bucket not found."
    assert refused(client.get_results, nothing, "txt") == "Result retrieval failed: Bucket not found."
    assert refused(client.qc_check, nothing, "txt") == "QC check failed: Bucket not found."
    assert refused(client.run_job, nothing, PRODUCT) == "Job run failed: Bucket not found."
    order = client.new_job()
    assert refused(client.run_job, order, "no such product") == "Job run failed: Product not found."
    assert refused(client.run_job, order, PRODUCT).startswith("Job run failed: No dataset found.")
    assert refused(client.qc_check, order, "txt").endswith("Upload a dataset before running QC.")
    assert refused(client.get_results, order, "txt") == "Result retrieval failed: Results not available."
    assert refused(hub.client().check_status, order).endswith("Bucket not found."), "another key's order is nobody's"
    answer = requests.get(f"{hub.url}/api/newJob/", timeout=30)
    assert (answer.status_code, answer.json()) == (400, {"error": "No connection ID in request header."})
    client.connection_id = nothing
    assert "Connection not found" in refused(client.new_job)


def test_a_key_has_no_more_runs_than_the_settings_say(hub: Hub) -> None:
    """CLD-05: the quota is asked before the order, as the client's authors test it."""
    key = hub.key()
    client = hub.client(key)
    order = client.new_job()
    hub.world.rows("UPDATE hub_orders SET asked_at = 1, refused = 'used' WHERE id = {}", order)
    hub.set(runs_per_key=1)
    try:
        assert refused(client.run_job, "no order", PRODUCT) == "Job run failed: No API key usages remaining."
    finally:
        hub.set(runs_per_key=0)


def test_nobody_gets_a_result_on_images_of_somebody_else(hub: Hub, tmp_path: Path) -> None:
    """CLD-05: a study belongs to the key that brought it, and one order takes one study."""
    first, second = a_small_diffusion_study(tmp_path / "one", seed=11), a_small_diffusion_study(tmp_path / "two", seed=12)
    owner, other = hub.client(), hub.client()
    a_half = tmp_path / "half"
    a_half.mkdir()
    for file in first.files[:3]:
        shutil.copy(file, a_half)
    mine = owner.new_job()
    assert owner.upload_dataset_from_path(mine, str(a_half))
    uploaded = hub.world.rows("SELECT uid_key, sop_keys FROM hub_orders WHERE id = {}", mine)[0]
    _wait_until_filed(hub, uploaded["uid_key"], len(json.loads(uploaded["sop_keys"])))
    a_piece = tmp_path / "piece"
    a_piece.mkdir()
    shutil.copy(first.files[0], a_piece / "IM")
    told = refused(other.upload_dataset_from_path, other.new_job(), str(a_piece))
    assert "belongs to somebody else" in told
    shutil.copy(second.files[0], a_piece / "IM2")
    assert "several" in refused(owner.upload_dataset_from_path, owner.new_job(), str(a_piece))


def _at_rest(hub: Hub) -> bool:
    """Nobody writes scratch files that are searched."""
    waiting = hub.world.rows("SELECT id FROM hub_orders WHERE asked_at > 0 AND order_id = '' AND refused = ''")
    return not waiting and all(ORDER_FACTS[one.state].terminal for one in hub.world.orders())


def _wait_until_filed(hub: Hub, uid_key: str, instances: int) -> None:
    def filed() -> bool:
        rows = hub.world.rows("SELECT instances FROM studies WHERE uid_key = {}", uid_key)
        return sum(int(one["instances"]) for one in rows) == instances

    until(filed, "the study, filed", 60)


def test_an_address_is_good_for_its_part_alone_and_a_part_for_its_etag(hub: Hub) -> None:
    """CLD-05: presigned addresses of our own; what is not a ZIP, or not what came, is refused."""
    client = hub.client()
    order = client.new_job()
    upload = client._Neuropacs__new_multipart_upload(order, "0", order)
    etag = client._Neuropacs__upload_part(upload, order, "0", order, 3, b"no zip at all")
    complete = client._Neuropacs__complete_multipart_upload
    assert "not the ones named" in refused(complete, order, order, "0", upload, [{"PartNumber": "3", "ETag": '"00"'}], "1")
    assert "not a readable ZIP" in refused(complete, order, order, "0", upload, [{"PartNumber": 3, "ETag": etag}], 1)
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    etag = client._Neuropacs__upload_part(upload, order, "0", order, 4, empty.getvalue())
    assert "no DICOM file" in refused(complete, order, order, "0", upload, [{"PartNumber": 4, "ETag": etag}], 1)
    put = requests.put(f"{hub.url}/objects/{order}/{upload}?partNumber=5&expires=9999999999999&signature=0", b"x", timeout=30)
    assert (put.status_code, put.json()) == (403, {"error": "This presigned URL is wrong or over."})


def test_the_hub_is_nowhere_until_it_is_switched_on(hub: Hub) -> None:
    """CLD-05: off by default."""
    assert settings.Settings().hub.enabled is False
    hub.set(enabled=False)
    try:
        answer = requests.get(f"{hub.url}/api/getPubKey", timeout=30)
        assert (answer.status_code, answer.json()) == (404, {"error": "There is no cloud at this address."})
    finally:
        hub.set(enabled=True)


def test_what_was_begun_and_left_is_ended(hub: Hub, tmp_path: Path) -> None:
    """CLD-05: parts that nobody completes go after a day, orders that nobody runs end after a week."""
    a_small_diffusion_study(tmp_path, seed=17)
    client, folder = hub.client(), hub.world.home / "storage" / "hub"
    empty, left = client.new_job(), client.new_job()
    assert client.upload_dataset_from_path(left, str(tmp_path))
    upload = client._Neuropacs__new_multipart_upload(empty, "0", empty)
    etag = client._Neuropacs__upload_part(upload, empty, "0", empty, 1, b"a piece")
    assert (folder / empty).is_dir()

    def reaped(days: float) -> None:
        hub.world.ask(lambda house: hub_intake.reap(house, now_ms() + int(days * 86_400_000)))

    reaped(0.9)
    assert (folder / empty).is_dir(), "not before its time"
    reaped(1.1)
    assert not (folder / empty).exists()
    complete = client._Neuropacs__complete_multipart_upload
    assert "Upload not found" in refused(complete, empty, empty, "0", upload, [{"PartNumber": 1, "ETag": etag}], 1)
    assert client.check_status(left)["failed"] is False
    reaped(7.1)
    assert refused(client.check_status, empty) == "Status check failed: Bucket not found."
    assert client.check_status(left)["failed"] is True
    assert client.check_status(left)["info"].startswith("Expired")
    assert "takes nothing more" in refused(client.run_job, left, PRODUCT)


def test_only_the_pages_that_the_settings_name_may_call(hub: Hub) -> None:
    """CLD-05: the JavaScript client asks before it calls, reads error sentences, and needs to see the ETag."""
    for path in ("getPubKey", "newJob/", "checkStatus/"):
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "connection-id"}
        answer = requests.options(f"{hub.url}/api/{path}", headers=asked, timeout=30)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (204, PAGE)
        assert "Connection-Id" in answer.headers["Access-Control-Allow-Headers"]
    put = requests.put(f"{hub.url}/objects/a/b?partNumber=1&expires=9&signature=0", b"x", headers={"Origin": PAGE}, timeout=30)
    assert put.headers["Access-Control-Expose-Headers"] == "ETag"
    answer = requests.get(f"{hub.url}/api/newJob/", headers={"Origin": PAGE}, timeout=30)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (400, PAGE)
    for origin in ("https://elsewhere.example.org", "null", ""):
        other = requests.get(f"{hub.url}/api/getPubKey", headers={"Origin": origin}, timeout=30)
        assert other.status_code == 200
        assert "Access-Control-Allow-Origin" not in other.headers


async def test_an_appliance_is_a_client_as_the_vendors_is(hub: Hub, tmp_path: Path) -> None:
    """CLD-01: the appliance's own client against the same hub: order, parts, run, status, results."""
    study = a_small_diffusion_study(tmp_path, seed=18)
    section = CloudSection(
        protocol="sdk", api_url=hub.url, api_key=Secret(await asyncio.to_thread(hub.key)), own_machine=True, upload_kb_s=100_000
    )
    client = SdkClient(section)
    order = await client.new_order()
    for index, files in enumerate((study.files[:2], study.files[2:4])):
        data = made(files, 2 * index)
        upload = await client.begin(order, index)
        etag = await client.put(order, index, upload, data)
        await client.complete(order, index, upload, etag, final=index == 1)
        await client.complete(order, index, upload, etag, final=index == 1)
    assert (await client.status(order)).started is False
    await client.start(order, PRODUCT)
    assert (await client.status(order)).started is True
    for form in FORMATS:
        assert await client.results("TEST", form)
    with pytest.raises(CloudRefuses, match="Results not available"):
        await client.results(order, "json")
    with pytest.raises(CloudRefuses, match="Bucket not found"):
        await client.status("11111111-1111-4111-8111-111111111111")


@pytest.mark.long
def test_quality_control_answers_before_anything_is_run(working_hub: Hub, tmp_path: Path) -> None:
    """CLD-05: the QC call on an uploaded dataset, in its three formats; nothing is ordered by it."""
    a_small_diffusion_study(tmp_path, seed=14)
    hub, client = working_hub, working_hub.client()
    order = client.new_job()
    assert client.upload_dataset_from_path(order, str(tmp_path))
    assert "QC " in checked(client, order, "txt")
    assert json.loads(client.qc_check(order, "json"))["findings"]
    assert client.qc_check(order, "csv").startswith("check,")
    assert client.check_status(order)["started"] is False
    assert hub.world.rows("SELECT id FROM orders WHERE idempotency_key = {}", order) == []


@pytest.mark.long
def test_an_order_survives_the_death_of_both_processes(working_hub: Hub, tmp_path: Path) -> None:
    """CLD-05: what was uploaded and asked for before a kill is run after it, once."""
    a_small_diffusion_study(tmp_path, seed=13)
    hub, client = working_hub, working_hub.client()
    order = client.new_job()
    assert client.upload_dataset_from_path(order, str(tmp_path))
    assert client.run_job(order, PRODUCT) == 202
    for word in ("api", "work"):
        hub.world.kill(word)
        hub.world.start(word)
    until(hub.answers, "the hub", 90)
    assert finished(client, order)["finished"] is True
    opened = hub.world.rows("SELECT state FROM orders WHERE idempotency_key = {}", order)
    assert len(opened) == 1
    assert opened[0]["state"] in (OrderState.REPORTED, OrderState.DELIVERED)
