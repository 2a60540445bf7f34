"""ETag and If-None-Match; Idempotency-Key."""

from tests.api.conftest import Door, Filed, a_report, an_order


async def test_what_a_poller_has_already_is_not_sent_again(door: Door, filed: Filed) -> None:
    """304 on every GET that a poller uses, and the news as soon as there are some."""
    order = await an_order(door.house, filed.study)
    await a_report(door.house, filed.study, order)
    paths = (
        "/api/studies",
        f"/api/studies/{filed.study}",
        f"/api/study-info/{filed.study}",
        "/api/orders",
        f"/api/orders/{order}",
        "/api/results",
        "/api/reports",
        "/api/settings",
        "/api/health",
    )
    tags = {}
    for path in paths:
        first = await door.call("admin", "GET", path)
        tags[path] = first.headers["etag"]
        for wanted in (tags[path], f'"other", W/{tags[path]}', "*"):
            again = await door.call("admin", "GET", path, headers={"If-None-Match": wanted})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tags[path]), path
            assert "content-length" not in again.headers or again.headers["content-length"] == "0"
        other = await door.call("admin", "GET", path, headers={"If-None-Match": '"other"'})
        assert other.json() == first.json()
    await door.house.records.run("UPDATE orders SET percent = 40 WHERE id = {}", order)
    for path in paths[:5]:
        changed = await door.call("admin", "GET", path, headers={"If-None-Match": tags[path]})
        assert changed.status_code == 200, path


async def test_a_problem_has_no_tag_and_nobody_learns_by_one(door: Door, filed: Filed) -> None:
    assert "etag" not in (await door.call("admin", "GET", "/api/studies", params={"q": "nothing:1"})).headers
    refused = await door.call("", "GET", "/api/studies", headers={"If-None-Match": "*"})
    assert refused.status_code == 401


async def test_one_idempotency_key_makes_one_token(door: Door) -> None:
    """Idempotency-Key on creating calls."""
    asked = {"name": "his"}
    key = {"Idempotency-Key": "the-same"}
    first = (await door.call("admin", "POST", "/api/tokens", json=asked, headers=key)).json()
    again = (await door.call("admin", "POST", "/api/tokens", json=asked, headers=key)).json()
    assert (again["id"], again["secret"]) == (first["id"], first["secret"])
    other = (await door.call("admin", "POST", "/api/tokens", json=asked)).json()
    assert other["id"] != first["id"]
    assert other["secret"] != first["secret"]
    assert len(await door.get("/api/tokens")) == 2
    await door.call("admin", "DELETE", f"/api/tokens/{first['id']}")
    ended = await door.call("admin", "POST", "/api/tokens", json=asked, headers=key)
    assert (ended.status_code, ended.json()["code"]) == (409, "token-ended")


async def test_one_idempotency_key_opens_one_order(door: Door, filed: Filed) -> None:
    key = {"Idempotency-Key": "order-1"}
    sent = [await door.call("user", "POST", "/api/orders", json={"study": filed.study}, headers=key) for _ in range(2)]
    assert sent[0].json()["order"] == sent[1].json()["order"]


async def test_an_action_on_an_order_that_changed_meanwhile_is_refused(door: Door, filed: Filed) -> None:
    """If-Match on the actions of orders, by the tag of the answer or by the row's version."""
    order = await an_order(door.house, filed.study, state="QC_FAILED")
    seen = await door.call("admin", "GET", f"/api/orders/{order}")
    version, tag = f'"{seen.json()["row_version"]}"', seen.headers["etag"]
    bypass = {"json": {"reason": "The radiologist agreed."}}
    for stale in ('"999"', '"nothing"', f"{version}9"):
        late = await door.call("admin", "POST", f"/api/orders/{order}/bypass", headers={"If-Match": stale}, **bypass)
        assert (late.status_code, late.json()["code"]) == (412, "order-changed"), stale
    done = await door.call("admin", "POST", f"/api/orders/{order}/bypass", headers={"If-Match": tag}, **bypass)
    assert (done.status_code, done.json()["state"]) == (200, "QUEUED")
    for action in ("cancel", "retry", "repair-gradients"):
        late = await door.call("admin", "POST", f"/api/orders/{order}/{action}", headers={"If-Match": tag})
        assert late.status_code == 412, action
    late = await door.call("admin", "POST", f"/api/orders/{order}/metadata", headers={"If-Match": version}, json={"age": "63"})
    assert late.status_code == 412
    current = f'"{done.json()["row_version"]}"'
    ended = await door.call("admin", "POST", f"/api/orders/{order}/cancel", headers={"If-Match": current})
    assert (ended.status_code, ended.json()["state"]) == (200, "CANCELLED")


async def test_one_idempotency_key_makes_one_account(door: Door) -> None:
    """Idempotency-Key on creating calls; another name under the same key is refused."""

    async def made(name: str, key: str) -> tuple[int, str]:
        given = {"name": name, "password": "Correct-Horse-Battery-1", "role": "user"}
        answer = await door.call("admin", "POST", "/api/users", json=given, headers={"Idempotency-Key": key})
        return answer.status_code, str(answer.json().get("id") or answer.json()["code"])

    first = await made("meyer", "k1")
    assert first[0] == 201
    assert await made("meyer", "k1") == first
    assert await made("schulze", "k1") == (409, "account-of-key")
    assert await made("meyer", "k2") == (409, "name-taken")
    assert (await made("schulze", "k2"))[0] == 201
