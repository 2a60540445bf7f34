"""The audit's hash chain on both engines."""

import asyncio
import json
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance import audit, audit_command
from appliance.audit import Anchor, AnchorWrong, append, append_each, link, verify
from appliance.keys import Keys
from appliance.records import audit as rows
from appliance.records.audit import AuditEntry
from appliance.records.engine import Records

NOW = 1_790_000_000_000
KEYS = Keys(b"\x07" * 32)


@pytest.fixture
async def records(migrated_url: str) -> AsyncIterator[Records]:
    async with Records(migrated_url) as opened:
        yield opened


async def _fill(count: int) -> None:
    for number in range(count):
        await append("anna", "sign-in", f"target-{number}", "done", "10.0.0.9", NOW + number, "é\x00\"'")


async def test_an_untouched_chain_holds(records: Records) -> None:
    """UI-10."""
    empty = await verify()
    assert (empty.ok, empty.rows, empty.head) == (True, 0, audit.FIRST)
    await _fill(7)
    verdict = await verify()
    newest = await rows.last()
    assert newest is not None
    assert (verdict.ok, verdict.rows, verdict.head, verdict.first_bad_seq) == (True, 7, newest.hash, None)


@pytest.mark.parametrize("column", ["at", "actor", "action", "target", "origin", "result", "detail"])
async def test_a_changed_column_is_found(records: Records, column: str) -> None:
    await _fill(5)
    value = "1" if column == "at" else "'somebody else'"
    await records.run(f"UPDATE audit SET {column} = {value} WHERE seq = 3")
    verdict = await verify()
    assert (verdict.ok, verdict.rows, verdict.first_bad_seq) == (False, 2, 3)


async def test_a_removed_row_is_found(records: Records) -> None:
    await _fill(5)
    await records.run("DELETE FROM audit WHERE seq = 2")
    assert (await verify()).first_bad_seq == 3


async def test_a_removed_first_row_is_found(records: Records) -> None:
    await _fill(3)
    await records.run("DELETE FROM audit WHERE seq = 1")
    assert (await verify()).first_bad_seq == 2


async def test_a_removed_row_with_renumbered_followers_is_found(records: Records) -> None:
    await _fill(5)
    await records.run("DELETE FROM audit WHERE seq = 2")
    for number in (3, 4, 5):
        await records.run("UPDATE audit SET seq = {} WHERE seq = {}", number - 1, number)
    assert (await verify()).first_bad_seq == 2


async def test_swapped_rows_are_found(records: Records) -> None:
    await _fill(5)
    await records.run("UPDATE audit SET seq = 100 WHERE seq = 2")
    await records.run("UPDATE audit SET seq = 2 WHERE seq = 3")
    await records.run("UPDATE audit SET seq = 3 WHERE seq = 100")
    assert (await verify()).first_bad_seq == 2


async def test_an_inserted_row_is_found(records: Records) -> None:
    await _fill(3)
    newest = await rows.last()
    assert newest is not None
    forged = AuditEntry(seq=0, at=NOW, actor="x", action="x", target="", origin="", result="", detail="", hash=newest.hash)
    await rows.add(forged)
    assert (await verify()).first_bad_seq == 0


async def test_rows_cut_off_at_the_end_are_found_with_an_anchor(records: Records) -> None:
    await _fill(5)
    whole = await verify()
    anchor = Anchor(rows=whole.rows, head=whole.head)
    await records.run("DELETE FROM audit WHERE seq > 3")
    assert (await verify()).ok, "the rest is a whole chain: only the anchor knows better"
    assert (await verify(anchor)).first_bad_seq == 4
    await _fill(5)
    assert not (await verify(anchor)).ok, "rows written in place of those that were cut off"


async def test_rows_written_at_the_same_time_make_one_chain(records: Records) -> None:
    names = [f"actor-{number}" for number in range(25)]
    await asyncio.gather(*(append(name, "sign-in", "", "done", "", NOW) for name in names))
    verdict = await verify()
    assert (verdict.ok, verdict.rows) == (True, 25)
    assert {entry.actor async for entry in rows.in_order()} == set(names)


async def test_a_transaction_that_fails_takes_its_audit_row_with_it(records: Records) -> None:
    await _fill(2)
    with pytest.raises(RuntimeError):
        async with records.transaction():
            await append("anna", "order.open", "", "done", "", NOW)
            raise RuntimeError
    await append("anna", "sign-out", "", "done", "", NOW)
    verdict = await verify()
    assert (verdict.ok, verdict.rows) == (True, 3)


async def test_each_target_has_its_own_row(records: Records) -> None:
    await append_each("anna", "identity.reveal", ["one", "two"], "done", "10.0.0.9", NOW)
    page = await rows.page()
    assert [entry.target for entry in page] == ["two", "one"]
    assert [entry.seq for entry in await rows.page(before=2)] == [1]
    assert await rows.page(text="actor:nobody at<1d !text", now=NOW) == []
    assert [entry.seq for entry in await rows.page(limit=1, text="at<1d !actor:nobody", now=NOW)] == [page[0].seq]
    assert (await verify()).ok


async def test_values_longer_than_their_columns_are_cut_before_they_are_hashed(records: Records) -> None:
    entry = await append("a" * 500, "b" * 500, "c" * 500, "d" * 500, "e" * 500, NOW, "f" * 5000)
    assert (len(entry.actor), len(entry.target), len(entry.detail)) == (64, 128, 2000)
    assert (await verify()).ok


_texts = st.text(max_size=20)
_entries = st.builds(
    AuditEntry,
    seq=st.integers(1, 1000),
    at=st.integers(0, 2**50),
    actor=_texts,
    action=_texts,
    target=_texts,
    origin=_texts,
    result=_texts,
    detail=_texts,
    hash=st.just(""),
)


@given(_entries, _entries)
def test_two_different_rows_never_share_a_link(one: AuditEntry, other: AuditEntry) -> None:
    assert (link(audit.FIRST, one) == link(audit.FIRST, other)) == (one == other)
    assert link("1" * 64, one) != link(audit.FIRST, one)


async def test_a_signed_anchor_finds_what_was_cut_off_and_no_other_appliance_can_make_one(records: Records) -> None:
    """UI-10: anchors, signed with the appliance's key."""
    await _fill(5)
    signed = await audit.anchor(KEYS, NOW)
    assert audit.read_anchor(KEYS, signed.text) == signed
    assert (await verify(signed)).ok
    await records.run("DELETE FROM audit WHERE seq > 3")
    assert (await verify(audit.read_anchor(KEYS, signed.text))).first_bad_seq == 4
    forged = signed.text.replace(":5:", ":3:")
    for wrong in (forged, signed.text[:-1], signed.text + "0", "", "ranvier-audit-1:::"):
        with pytest.raises(AnchorWrong):
            audit.read_anchor(KEYS, wrong)
    with pytest.raises(AnchorWrong):
        audit.read_anchor(Keys(b"\x08" * 32), signed.text)


async def test_the_export_is_the_chain_with_its_anchor(records: Records) -> None:
    """UI-10: export as JSON lines; whoever holds the file can follow the chain."""
    await _fill(4)
    exported = [json.loads(line) async for line in audit.lines(KEYS, NOW)]
    previous = audit.FIRST
    for row in exported[:-1]:
        assert link(previous, AuditEntry(**row)) == row["hash"]
        previous = row["hash"]
    assert audit.read_anchor(KEYS, exported[-1]["anchor"]).head == previous
    assert len(exported) == 5


async def test_the_command_says_whole_or_where_it_is_broken(records: Records, capsys: pytest.CaptureFixture[str]) -> None:
    """UI-10: `ranvier audit verify`."""
    await _fill(4)
    assert await audit_command.run(["anchor"], KEYS, now=NOW) == 0
    kept = capsys.readouterr().out.strip()
    assert await audit_command.run(["verify", "--anchor", kept], KEYS, now=NOW) == 0
    assert "whole: 4 rows" in capsys.readouterr().out
    await records.run("DELETE FROM audit WHERE seq = 4")
    assert await audit_command.run(["verify"], KEYS, now=NOW) == 0
    assert await audit_command.run(["verify", "--anchor", kept], KEYS, now=NOW) == 1
    assert "BROKEN at row 4" in capsys.readouterr().err
    assert await audit_command.run(["nonsense"], KEYS, now=NOW) == 64


_kinds = st.sampled_from(["change", "insert", "reorder", "remove"])


@given(_kinds, st.integers(1, 8), st.integers(1, 8))
def test_every_kind_of_tampering_is_found_up_to_the_anchor(kind: str, place: int, other: int) -> None:
    """Property test over changed, inserted, reordered and removed rows, on the chain itself."""
    chain, previous = [], audit.FIRST
    for number in range(1, 9):
        entry = AuditEntry(
            seq=number, at=NOW, actor="a", action="b", target=str(number), origin="", result="", detail="", hash=""
        )
        entry = msgspec.structs.replace(entry, hash=link(previous, entry))
        chain.append(entry)
        previous = entry.hash
    held = Anchor(rows=8, head=previous)
    one = chain[place - 1]
    if kind == "change":
        chain[place - 1] = msgspec.structs.replace(one, target="else")
    elif kind == "insert":
        chain.insert(place, msgspec.structs.replace(one, target="new"))
    elif kind == "reorder":
        chain[place - 1], chain[other - 1] = chain[other - 1], chain[place - 1]
    else:
        chain.remove(one)
    for renumbered in (False, True):
        rows_now = [msgspec.structs.replace(row, seq=n) if renumbered else row for n, row in enumerate(chain, start=1)]
        untouched = kind == "reorder" and place == other
        assert audit.follow(rows_now, held).ok == untouched


_TAMPER = st.sampled_from(["change", "insert", "swap", "remove", "cut"])


@pytest.fixture
async def kept_chain(records: Records) -> tuple[Records, str, list[dict[str, object]]]:
    """Eight rows in the database, their anchor, and the rows as they were."""
    await _fill(8)
    signed = await audit.anchor(KEYS, NOW)
    return records, signed.text, await records.run("SELECT * FROM audit ORDER BY seq")


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kind=_TAMPER, place=st.integers(1, 8), other=st.integers(1, 8), renumber=st.booleans(), data=st.text(max_size=5))
async def test_tampering_with_the_tables_is_found_up_to_the_anchor(
    kept_chain: tuple[Records, str, list[dict[str, object]]], kind: str, place: int, other: int, renumber: bool, data: str
) -> None:
    """UI-10: property over changed, inserted, reordered, removed and cut-off rows in the database, on both engines."""
    records, anchor, original = kept_chain
    chain = [dict(row) for row in original]
    row = chain[place - 1]
    if kind == "change":
        row["detail"] = data.replace("\x00", "").encode("utf-8", "replace").decode()
    elif kind == "insert":
        chain.insert(place, {**row, "target": "forged"})
        renumber = True
    elif kind == "swap":
        chain[place - 1], chain[other - 1] = chain[other - 1], chain[place - 1]
        renumber = True
    elif kind == "remove":
        chain.remove(row)
    else:
        chain = chain[: place - 1]
    if renumber:
        chain = [{**one, "seq": number} for number, one in enumerate(chain, start=1)]
    names = list(original[0])
    async with records.transaction():
        await records.run("DELETE FROM audit")
        marks = ", ".join("?" for _ in names)
        await records.run_many(
            f"INSERT INTO audit ({', '.join(names)}) VALUES ({marks})", [[one[name] for name in names] for one in chain]
        )
    held = audit.read_anchor(KEYS, anchor)
    assert (await verify(held)).ok == (chain == original)
