"""The identities: the only place of patient values, sealed."""

from pathlib import Path

import pytest

from appliance.keys import Keys, SealBroken
from appliance.records import identities
from appliance.records.engine import Records, migrate
from appliance.records.identities import PatientIdentity, lookup_key, pseudonym
from appliance.records.tables import Identity

WHO = PatientIdentity(patient_name="Ångström^Zoë", patient_id="MRN-0047119", accession="ACC-998877", birth_date="19640229")


@pytest.fixture
def keys() -> Keys:
    return Keys(bytes(range(32)))


async def test_an_identity_comes_back_as_it_was_put(records: Records, keys: Keys) -> None:
    await identities.put(keys, "study-1", WHO)
    assert await identities.get(keys, "study-1") == WHO
    assert await identities.get(keys, "study-2") is None


async def test_the_first_identity_of_a_study_stays(records: Records, keys: Keys) -> None:
    await identities.put(keys, "study-1", WHO)
    await identities.put(keys, "study-1", PatientIdentity(patient_name="Somebody^Else"))
    assert await identities.get(keys, "study-1") == WHO


async def test_the_linking_table_is_kept_beside_the_identity(records: Records, keys: Keys) -> None:
    await identities.put(keys, "study-1", WHO)
    assert await identities.linking(keys, "study-1") == {}
    await identities.put_linking(keys, "study-1", {"1.2.3": "2.25.4"})
    assert await identities.linking(keys, "study-1") == {"1.2.3": "2.25.4"}


async def test_what_is_sought_in_what_leaves_is_sealed_beside_the_identity_and_gone_with_it(
    records: Records, keys: Keys
) -> None:
    """DEID-10: the values of a patient stand in one row, and nobody reads them without the key."""
    assert await identities.sought(keys, "study-1") == b""
    await identities.put(keys, "study-1", WHO)
    assert await identities.sought(keys, "study-1") == b""
    await identities.put_sought(keys, "study-1", b"Wolkenstein")
    assert await identities.sought(keys, "study-1") == b"Wolkenstein"
    (row,) = await Identity.select(Identity.sought).run()
    assert b"Wolkenstein" not in bytes(row["sought"])
    await Identity.delete().where(Identity.study == "study-1").run()
    assert await identities.sought(keys, "study-1") == b""


async def test_a_row_moved_to_another_study_does_not_open(records: Records, keys: Keys) -> None:
    await identities.put(keys, "study-1", WHO)
    await Identity.update({Identity.study: "study-2"}, force=True).run()
    with pytest.raises(SealBroken):
        await identities.get(keys, "study-2")


async def test_no_byte_of_an_identity_stands_readable_in_the_database_file(tmp_path: Path, keys: Keys) -> None:
    async with Records(f"sqlite://{tmp_path / 'ranvier.db'}") as records:
        await migrate(records)
        await identities.put(keys, "study-1", WHO)
        await identities.put_linking(keys, "study-1", {"1.2.840.99999.4711": "2.25.4"})
        written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    for value in (WHO.patient_name, "Zoë", WHO.patient_id, WHO.accession, WHO.birth_date, "1.2.840.99999.4711"):
        assert value.encode() not in written
        assert value.encode("utf-16-le") not in written
        assert value.encode().hex().encode() not in written


@pytest.mark.parametrize("other", ["0047119", " 47 119 ", "47119"])
def test_one_patient_has_one_pseudonym_however_the_number_is_written(keys: Keys, other: str) -> None:
    assert pseudonym(keys, "Hospital", other) == pseudonym(keys, "HOSPITAL", "47119")


def test_other_issuers_other_numbers_and_other_keys_make_other_pseudonyms(keys: Keys) -> None:
    made = {
        pseudonym(keys, "A", "47119"),
        pseudonym(keys, "B", "47119"),
        pseudonym(keys, "A", "47118"),
        pseudonym(keys, "A", "X47119"),
        pseudonym(Keys(bytes(32)), "A", "47119"),
    }
    assert len(made) == 5
    assert pseudonym(keys, "A", "  ") == ""


def test_a_lookup_finds_the_exact_value_and_keeps_kinds_apart(keys: Keys) -> None:
    assert lookup_key(keys, "patient", "mrn-1 ") == lookup_key(keys, "patient", "MRN-1")
    assert lookup_key(keys, "patient", "MRN-1") != lookup_key(keys, "accession", "MRN-1")
    assert lookup_key(keys, "patient", "") == ""
