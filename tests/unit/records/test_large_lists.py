"""Lists of tables too large to be counted: the same rows as by counting, and never by reading whole tables."""

from typing import Any

import pytest

from appliance.records import paging
from appliance.records.engine import Records
from appliance.records.lists import order_ids_page, results_page, studies_page, study_line_of
from appliance.records.paging import Asked, Page
from tests.bulk import NOW, many_studies
from tests.unit.records.test_lists import listened, plan_of

COUNT = 2500
LISTS: dict[str, Any] = {"studies": studies_page, "orders": order_ids_page, "results": results_page}
FILTERS = (
    "status:failed",
    "status:failed,qc_failed",
    "status:delivered",
    "status:problem",
    "!status:delivered",
    "group:RARE*",
    "group:COHORT-15",
    "MR_SCANNER_7",
    "MR_*_7",
    "rare-",
    "code:compute*",
    "product:dti-fw age<40",
    "instances>300 received<3d",
    "status:failed group:COHORT-95",
    "nothing-has-this",
)
SORTS = {"studies": ("-received", "group", "-instances"), "orders": ("-created", "priority"), "results": ("-created",)}


async def _pages(records: Records, name: str, text: str, sort: str, limit: int = 150) -> tuple[list[Any], Page[Any]]:
    found: list[Any] = []
    cursor: str | None = ""
    first: Page[Any] | None = None
    while cursor is not None and len(found) < 4 * limit:
        page = await LISTS[name](records, Asked(filter=text, sort=sort, limit=limit, cursor=cursor), NOW)
        first = first or page
        found += page.items
        cursor = page.next
    assert first is not None
    return found, first


async def test_large_lists_show_what_counting_shows_and_never_claim_more(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """UI-01: every filter and sort, page by page; `matched` is exact or the least there are."""
    await many_studies(records, COUNT)
    monkeypatch.setattr(paging, "STRETCH", 400)
    monkeypatch.setattr(paging, "FEW", 150)
    monkeypatch.setattr(paging, "MOST", 150)
    monkeypatch.setattr(paging, "VERY_FEW", 20)
    for name, sorts in SORTS.items():
        for text in FILTERS:
            for sort in sorts if text in FILTERS[:3] else sorts[:1]:
                monkeypatch.setattr(paging, "COUNTED", 100)
                monkeypatch.setattr(paging, "WALKED", 100)
                quick, guessed = await _pages(records, name, text, sort)
                monkeypatch.setattr(paging, "COUNTED", 10**9)
                monkeypatch.setattr(paging, "WALKED", 10**9)
                plain, counted = await _pages(records, name, text, sort)
                assert quick == plain, (name, text, sort)
                monkeypatch.setattr(paging, "COUNTED", 100)
                monkeypatch.setattr(paging, "WALKED", 100)
                jumped = await LISTS[name](records, Asked(filter=text, sort=sort, limit=50, number=3), NOW)
                assert jumped.items == plain[100:150], (name, text, sort)
                assert counted.matched_exact
                if guessed.matched_exact:
                    assert guessed.matched == counted.matched, (name, text, sort)
                else:
                    assert len(guessed.items) < guessed.matched <= counted.matched, (name, text, sort)


async def test_totals_of_large_tables_are_estimates_and_say_so(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    await many_studies(records, COUNT)
    monkeypatch.setattr(paging, "COUNTED", 100)
    monkeypatch.setattr(paging, "WALKED", 100)
    page = await studies_page(records, Asked(limit=1), NOW)
    assert not page.total_exact
    assert abs(page.total - COUNT) <= COUNT // 10


async def test_no_list_reads_a_whole_table_or_sorts_it(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    """PC-15: the plans of the list queries, by the engine itself."""
    await many_studies(records, COUNT)
    monkeypatch.setattr(paging, "COUNTED", 100)
    monkeypatch.setattr(paging, "WALKED", 100)
    statements = listened(records, monkeypatch)
    for name, sorts in SORTS.items():
        for text in ("", "status:failed", "status:failed,qc_failed", "group:RARE*", "rare-", "id:0199ab12"):
            for sort in sorts:
                await LISTS[name](records, Asked(filter=text, sort=sort, limit=50), NOW)
    seen = dict(statements)
    assert len(seen) > 20
    for sql, values in seen.items():
        if "reltuples" in sql or "MAX(rowid)" in sql or f"LIMIT {paging.COUNTED + 1}" in sql:
            continue
        plan = await plan_of(records, sql, values)
        if records.on_sqlite:
            for step in plan.split("'detail': ")[1:]:
                walked = step.startswith(("'SCAN ", '"SCAN ')) and " USING " not in step and "VIRTUAL TABLE" not in step
                assert not walked or step[6:].startswith(SMALL), (sql, plan)
            if "LIMIT" in sql and "quick" not in sql and "every" not in sql:
                assert "TEMP B-TREE" not in plan, (sql, plan)
        elif "quick" not in sql and "every" not in sql:
            # What a quick way leads to PostgreSQL joins as its statistics say.
            assert "Seq Scan" not in plan, (sql, plan)


SMALL = ("found", "few", "every", "quick", "one", "counted", "s'", "o'", "r'", "(subquery", "CONSTANT", "made")
"""Results of subqueries, whose own steps stand beside them."""


async def test_triggers_keep_newest_order_state_and_text(records: Records) -> None:
    """What the lists read is what a fresh fill of it would be, after every kind of change."""
    from importlib import import_module

    migration: Any = import_module("appliance.records.migrations.records_2026_11_22t08_10_00_000000")
    lines: Any = import_module("appliance.records.migrations.records_2026_11_22t16_23_37_000000")
    await many_studies(records, 60)
    rows = await records.run("SELECT id, study FROM orders ORDER BY id")
    ids, studies = [str(row["id"]) for row in rows], [str(row["study"]) for row in rows]
    await records.run("UPDATE orders SET state = 'HELD', code = 'poison-study' WHERE id = {}", ids[3])
    await records.run("UPDATE orders SET delivery_failed = {} WHERE id = {}", True, ids[4])
    await records.run("DELETE FROM reports WHERE order_id = {}", ids[5])
    await records.run("DELETE FROM orders WHERE id = {}", ids[5])
    await records.run("UPDATE studies SET state = 'QUARANTINED', sender = 'OTHER' WHERE id = {}", studies[5])
    await records.run("INSERT INTO orders (id, study, state) VALUES ({}, {}, 'QC')", "f" * 36, studies[6])
    await records.run("INSERT INTO orders (id, study, state) VALUES ({}, {}, 'QC')", "0" * 36, studies[7])
    await records.run("DELETE FROM studies WHERE id = {}", studies[8])
    await records.run("INSERT INTO studies (id, uid_key, state, sender) VALUES ('new', 'new', 'RECEIVING', 'MRÄ')")
    await records.run("UPDATE orders SET percent = 43, step = 'tensor fit' WHERE id = {}", ids[9])
    await records.run("UPDATE studies SET instances = 7 WHERE id = {}", studies[10])
    await records.run("UPDATE identities SET accession_key = '' WHERE study = {}", studies[11])
    await records.run("DELETE FROM identities WHERE study = {}", studies[12])
    (listing,) = lines.fills("sqlite" if records.on_sqlite else "postgres")
    _, words = migration.fills("sqlite" if records.on_sqlite else "postgres")
    kept = await records.run("SELECT * FROM study_list ORDER BY study")
    kept_words = await records.run("SELECT study, body FROM study_texts ORDER BY study")
    shown = {row["study"]: (row["shown"], bool(row["flagged"]), row["order_id"]) for row in kept}
    assert shown[studies[3]][0] == "HELD"
    assert shown[studies[4]][1]
    assert shown[studies[5]] == ("QUARANTINED", False, "")
    assert shown[studies[6]][2] == "f" * 36
    assert shown[studies[7]][2] == ids[7]
    assert studies[8] not in shown
    assert shown["new"] == ("RECEIVING", False, "")
    line = {str(row["study"]): study_line_of(row["line"]) for row in kept}
    assert (line[studies[3]].order_state, line[studies[3]].code) == ("HELD", "poison-study")
    assert (line[studies[9]].percent, line[studies[9]].step) == (43, "tensor fit")
    assert line[studies[10]].instances == 7
    assert [line[studies[n]].has_accession for n in (10, 11, 12)] == [True, False, False]
    assert (line[studies[5]].order, line[studies[5]].study_state, line[studies[5]].sender) == ("", "QUARANTINED", "OTHER")
    await records.run("DELETE FROM study_list")
    await records.run("DELETE FROM study_texts")
    await records.run(listing)
    await records.run(words)
    assert await records.run("SELECT * FROM study_list ORDER BY study") == kept
    assert await records.run("SELECT study, body FROM study_texts ORDER BY study") == kept_words
