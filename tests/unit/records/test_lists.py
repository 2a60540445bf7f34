"""The lists on both engines; the truth is computed beside them in Python."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import structs

from appliance.errors import Unknown
from appliance.records.engine import Records
from appliance.records.lists import order_ids_page, results_page, studies_page, study_line
from appliance.records.lookup import Ambiguous, full_id
from appliance.records.marks import BadCursor
from appliance.records.paging import Asked, BadSort, PageTwice
from tests.bulk import at_once

NOW = 1_790_000_000_000
DAY = 86_400_000


@dataclass(frozen=True)
class Kept:
    """One study as it was put into the records, with its newest order."""

    study: str
    order: str
    study_state: str
    order_state: str
    group: str
    sender: str
    products: str
    received_at: int
    age: int | None
    labels: str
    delivery_failed: bool


def _uuid(generator: random.Random) -> str:
    text = f"{generator.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-7{text[13:16]}-a{text[17:20]}-{text[20:]}"


async def fill(records: Records, count: int, seed: int = 7) -> list[Kept]:
    """Studies with none, one or two orders each; an older order always contradicts the newest."""
    generator = random.Random(seed)
    kept: list[Kept] = []
    orders: list[tuple[object, ...]] = []
    reports: list[tuple[object, ...]] = []
    for _number in range(count):
        first, second = sorted((_uuid(generator), _uuid(generator)))
        has_order = generator.random() < 0.9
        state = generator.choice(["DELIVERED", "DELIVERED", "DELIVERED", "FAILED", "QC_FAILED", "PROCESSING", "REPORTED"])
        one = Kept(
            study=_uuid(generator),
            order=second if has_order else "",
            study_state=generator.choice(["STABLE", "STABLE", "RECEIVING", "QUARANTINED"]),
            order_state=state if has_order else "",
            group=generator.choice(["", "PARK-01", "PARK-02", "100%_sure"]),
            sender=generator.choice(["MR1", "MR2", "mr_3"]),
            products=generator.choice(["dti", "dti,fw", "fw"]) if has_order else "",
            received_at=NOW - generator.randrange(30) * DAY - generator.randrange(3),
            age=generator.choice([None, 20, 40, 63]) if has_order else None,
            labels=generator.choice(["[]", '["Uploaded"]', '["Uploaded-Reviewed"]']),
            delivery_failed=has_order and state == "REPORTED" and generator.random() < 0.5,
        )
        kept.append(one)
        if has_order:
            if generator.random() < 0.3:
                orders.append((first, one.study, "CANCELLED", "old", NOW, NOW, 99, False, "owner"))
            columns = (state, one.products, one.received_at, one.received_at, one.age, one.delivery_failed, "owner")
            orders.append((second, one.study, *columns))
            reports.append((_uuid(generator), second, "failure" if state == "FAILED" else "report", one.received_at))
    async with records.transaction():
        await records.run_many(
            "INSERT INTO studies (id, uid_key, state, group_name, sender, first_at, last_at, labels, instances) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (k.study, k.study[:32], k.study_state, k.group, k.sender, k.received_at, k.received_at, k.labels, n)
                for n, k in enumerate(kept)
            ],
        )
        await records.run_many(
            "INSERT INTO orders (id, study, state, products, created_at, updated_at, age_years, delivery_failed, owner) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            orders,
        )
        await records.run_many("INSERT INTO reports (id, order_id, kind, created_at) VALUES (?, ?, ?, ?)", reports)
    return kept


async def _all_pages(records: Records, asked: Asked) -> list[str]:
    found: list[str] = []
    cursor = ""
    while True:
        page = await studies_page(records, Asked(filter=asked.filter, sort=asked.sort, limit=asked.limit, cursor=cursor), NOW)
        found += [line.study for line in page.items]
        if page.next is None:
            return found
        cursor = page.next


async def test_pages_follow_each_other_without_gap_or_repetition(records: Records) -> None:
    kept = await fill(records, 500)
    wanted = [one.study for one in sorted(kept, key=lambda one: (one.received_at, one.study), reverse=True)]
    assert await _all_pages(records, Asked(limit=37)) == wanted
    assert await _all_pages(records, Asked(limit=37, sort="received")) == wanted[::-1]


@pytest.mark.parametrize("sort", ["group", "-sender", "-instances", "updated"])
async def test_every_sort_pages_through_all(records: Records, sort: str) -> None:
    kept = await fill(records, 150)
    found = await _all_pages(records, Asked(limit=20, sort=sort))
    assert sorted(found) == sorted(one.study for one in kept)


async def test_a_page_is_found_by_its_number_too(records: Records) -> None:
    """UI-01: a jump to any page shows what going there page by page shows, and goes on by cursor from there."""
    await fill(records, 100)
    for asked in (Asked(limit=30), Asked(limit=30, sort="group"), Asked(limit=7, filter="status:failed,qc_failed")):
        in_order = await _all_pages(records, asked)
        for number in (1, 2, 3, 40):
            page = await studies_page(records, structs.replace(asked, number=number), NOW)
            begin = (number - 1) * asked.limit
            assert [line.study for line in page.items] == in_order[begin : begin + asked.limit]
            assert page.matched == len(in_order)
        second = await studies_page(records, structs.replace(asked, number=2), NOW)
        assert second.next is not None
        third = await studies_page(records, structs.replace(asked, cursor=second.next), NOW)
        assert [line.study for line in third.items] == in_order[2 * asked.limit : 3 * asked.limit]
    with pytest.raises(PageTwice):
        await studies_page(records, Asked(cursor=str(second.next), number=2), NOW)


async def test_rows_that_come_meanwhile_shift_nothing(records: Records) -> None:
    kept = await fill(records, 60)
    first = await studies_page(records, Asked(limit=30), NOW)
    assert first.next is not None
    await fill(records, 20, seed=8)
    second = await studies_page(records, Asked(limit=200, cursor=first.next), NOW)
    seen = {line.study for line in first.items} | {line.study for line in second.items}
    assert {one.study for one in kept} <= seen
    assert not {line.study for line in first.items} & {line.study for line in second.items}


FILTERS: dict[str, Callable[[Kept], bool]] = {
    "status:failed": lambda k: k.order_state == "FAILED",
    "status:failed,processing": lambda k: k.order_state in ("FAILED", "PROCESSING"),
    "status:stable": lambda k: not k.order and k.study_state == "STABLE",
    "status:receiving,delivered": lambda k: k.order_state == "DELIVERED" or (not k.order and k.study_state == "RECEIVING"),
    "!status:failed": lambda k: k.order_state != "FAILED",
    "status:delivery_failed": lambda k: k.delivery_failed,
    "status:problem": lambda k: (
        k.order_state in ("FAILED", "QC_FAILED") or k.delivery_failed or (not k.order and k.study_state == "QUARANTINED")
    ),
    "status:active": lambda k: k.order_state in ("PROCESSING", "REPORTED") or (not k.order and k.study_state == "RECEIVING"),
    "group:PARK*": lambda k: k.group.startswith("PARK"),
    "group:park-01": lambda k: k.group == "PARK-01",
    "group:100%_sure": lambda k: k.group == "100%_sure",
    "group:1%": lambda k: False,
    "sender:mr_3": lambda k: k.sender == "mr_3",
    "sender:mr?": lambda k: False,
    "product:DTI": lambda k: "dti" in k.products.split(","),
    "product:d": lambda k: False,
    "!product:fw": lambda k: "fw" not in k.products.split(","),
    "product:old": lambda k: False,
    "label:Uploaded": lambda k: k.labels == '["Uploaded"]',
    "label:Uploaded*": lambda k: "Uploaded" in k.labels,
    "age<40": lambda k: k.age is not None and k.age < 40,
    "age>=40": lambda k: k.age is not None and k.age >= 40,
    "!age<40": lambda k: k.age is None or k.age >= 40,
    "age:99": lambda k: False,
    "received<2d": lambda k: k.received_at > NOW - 2 * DAY,
    "received>20d": lambda k: k.received_at < NOW - 20 * DAY,
    "MR1": lambda k: k.sender == "MR1",
    "!MR1 group:PARK-02 age<50": lambda k: k.sender != "MR1" and k.group == "PARK-02" and k.age is not None and k.age < 50,
}


async def test_every_filter_finds_what_it_says(records: Records) -> None:
    kept = await fill(records, 400)
    for text, wanted in FILTERS.items():
        page = await studies_page(records, Asked(filter=text, limit=500), NOW)
        assert {line.study for line in page.items} == {one.study for one in kept if wanted(one)}, text
        assert (page.matched, page.total) == (len(page.items), 400), text


async def test_a_study_shows_its_newest_order(records: Records) -> None:
    kept = await fill(records, 100)
    page = await studies_page(records, Asked(limit=200), NOW)
    assert {line.study: (line.order, line.order_state) for line in page.items} == {
        one.study: (one.order, one.order_state) for one in kept
    }
    assert (await study_line(records, kept[3].study)).order == kept[3].order
    with pytest.raises(Unknown):
        await study_line(records, "nothing")


async def test_orders_and_results_are_filtered_and_paged_too(records: Records) -> None:
    kept = await fill(records, 200)
    wanted = {one.order for one in kept if one.order_state == "FAILED"}
    page = await order_ids_page(records, Asked(filter="status:failed"), NOW)
    assert set(page.items) == wanted
    results = await results_page(records, Asked(filter="kind:failure", limit=5), NOW)
    assert len(results.items) == 5
    assert results.matched == len(wanted)
    assert results.next is not None
    rest = await results_page(records, Asked(filter="kind:failure", limit=500, cursor=results.next), NOW)
    assert {line.order for line in (*results.items, *rest.items)} == wanted


@pytest.mark.parametrize(
    "cursor", ["x", "%%%", "W10", "WyJhIiwxLCJiIl0", "é", "A" * 10_000, "WyItcmVjZWl2ZWQiLCAibm90IGEgbnVtYmVyIiwgIngiXQ"]
)
async def test_a_mark_of_another_list_or_making_is_refused(records: Records, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await studies_page(records, Asked(sort="-received", cursor=cursor), NOW)


async def test_an_unknown_sort_is_refused_with_those_that_exist(records: Records) -> None:
    with pytest.raises(BadSort, match="received, updated"):
        await studies_page(records, Asked(sort="patient"), NOW)


async def test_identifiers_are_found_by_their_beginning_and_their_end(records: Records) -> None:
    kept = await fill(records, 50)
    study = kept[0].study
    plain = study.replace("-", "")
    for digits in (
        study,
        plain,
        study[:8],
        study[:13],
        plain[:7],
        plain[-8:],
        study[-12:],
        study[-13:],
        study.upper(),
        f" {study} ",
    ):
        assert await full_id(records, "study", digits) == study, digits


@pytest.mark.parametrize("digits", ["", "abc", "xyzxyz", "0000000", "%", "_" * 8, "' OR 1=1", "a" * 40])
async def test_what_is_no_identifier_is_unknown(records: Records, digits: str) -> None:
    await fill(records, 5)
    with pytest.raises(Unknown):
        await full_id(records, "study", digits)


async def test_digits_that_several_share_are_ambiguous(records: Records) -> None:
    async with records.transaction():
        for number in range(2):
            await records.run(
                "INSERT INTO studies (id, uid_key) VALUES ({}, {})", f"0199ab12-0000-7000-8000-0000000{number}abcd", f"{number}"
            )
    for digits in ("0199ab", "0199ab12-0000"):
        with pytest.raises(Ambiguous):
            await full_id(records, "study", digits)
    assert await full_id(records, "study", "00000001abcd") == "0199ab12-0000-7000-8000-00000001abcd"


async def test_a_late_page_of_12000_studies_is_found_by_index_and_is_the_right_one(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UI-01, PC-15: paging by keyset; no page skips over the rows before it."""
    async with at_once(records):
        kept = await fill(records, 12_000)
    wanted = [study for _, study in sorted(((one.received_at, one.study) for one in kept), reverse=True)]
    seen = 0
    cursor: str | None = ""
    while cursor is not None:
        page = await studies_page(records, Asked(cursor=cursor, limit=500), NOW)
        assert [line.study for line in page.items] == wanted[seen : seen + 500]
        seen, before, cursor = seen + len(page.items), cursor, page.next
    assert seen == 12_000
    statements = listened(records, monkeypatch)
    await studies_page(records, Asked(cursor=before, limit=500), NOW)
    sql, values = statements[-1]
    plan = await plan_of(records, sql, values)
    # Near the end PostgreSQL rightly sorts the few rows that are left; neither engine may look at those before.
    assert "study_list_first_at_study" in plan if records.on_sqlite else "Seq Scan" not in plan
    assert "TEMP B-TREE" not in plan
    assert "OFFSET" not in sql


def listened(records: Records, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """Every statement from now on, with its values."""
    statements: list[tuple[str, tuple[Any, ...]]] = []
    ask = Records._ask

    async def heard(self: Records, sql: str, values: Sequence[Any]) -> Any:
        if not sql.startswith("EXPLAIN"):
            statements.append((sql, tuple(values)))
        return await ask(self, sql, values)

    monkeypatch.setattr(Records, "_ask", heard)
    return statements


async def plan_of(records: Records, sql: str, values: tuple[Any, ...]) -> str:
    """How the engine would run a statement."""
    return str(await records.run(f"EXPLAIN {'QUERY PLAN ' if records.on_sqlite else ''}{sql}", *values))
