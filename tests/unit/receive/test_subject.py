"""Who a data set belongs to, and series names without that person."""

import pytest

from appliance.receive.subject import safe_label, same_patient
from appliance.records.identities import PatientIdentity

PERSON = PatientIdentity(
    patient_name="Quellwasser^Adalbertine^Li",
    patient_id="MRN-7741926",
    accession="ACC55120937",
    referring_physician="Zimtstern^B",
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (PatientIdentity(patient_id="0042"), PatientIdentity(patient_id=" 42"), True),
        (PatientIdentity(patient_id="a 1"), PatientIdentity(patient_id="A1"), True),
        (PatientIdentity(patient_id="42"), PatientIdentity(patient_id="43"), False),
        (PatientIdentity(patient_id="42", issuer="A"), PatientIdentity(patient_id="42"), True),
        (PatientIdentity(patient_id="42", issuer="A"), PatientIdentity(patient_id="42", issuer="B"), False),
        (PatientIdentity(patient_name="Müller^Jörg"), PatientIdentity(patient_name="MULLER JORG"), True),
        (PatientIdentity(patient_name="A^B"), PatientIdentity(patient_name="A^C"), False),
        (PatientIdentity(patient_name="A^B", patient_id="1"), PatientIdentity(patient_name="a^b"), True),
        (PatientIdentity(patient_name="A^B", birth_date="1"), PatientIdentity(patient_name="A^B", birth_date="2"), False),
        (PatientIdentity(patient_id="1", patient_name="Maiden^A"), PatientIdentity(patient_id="1", patient_name="New^A"), True),
    ],
)
def test_two_identities_are_one_person_or_two(one: PatientIdentity, other: PatientIdentity, same: bool) -> None:
    """Faults row 14: the patient ID decides, spelling does not."""
    assert same_patient(one, other) is same
    assert same_patient(other, one) is same


@pytest.mark.parametrize(
    ("description", "label"),
    [
        ("ep2d_diff_mddw_64_p2_iso2", "ep2d_diff_mddw_64_p2_iso2"),
        ("DTI Quellwasser 64 dirs", "DTI 64 dirs"),
        ("DTI_QUELLWASSER_A", "DTI__A"),
        ("t1 mrn-7741926 sag", "t1 sag"),
        ("t1 7741926", "t1"),
        ("clinical DTI Li", "clinical DTI"),
        ("for Dr Zimtstern", "for Dr"),
        ("scan 14.03.1958 ax", "scan ax"),
        ("scan 1958-03-14", "scan"),
        ("b1000 20260914", "b1000"),
        ("MyQuellwasserScan", ""),
        ("x" * 300, "x" * 128),
        ("", ""),
    ],
)
def test_a_series_label_names_nobody(description: str, label: str) -> None:
    """UI-01: lists that show no identity show series by a name without the patient, dates and long numbers."""
    assert safe_label(description, PERSON) == label


def test_an_accent_does_not_hide_a_name() -> None:
    assert safe_label("dti muller", PatientIdentity(patient_name="Müller^J")) == "dti"
