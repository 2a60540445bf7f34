import tempfile
from functools import cache
from pathlib import Path

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as some

from tests.unit.deidentify.planted import an_instance, deidentified, left_in, written

LATIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyzäöüßéèñçÄÖÜ"
NAMES = some.text(LATIN, min_size=4, max_size=14)
NUMBERS = some.from_regex(r"[A-Z]{0,3}[-/]?[0-9]{5,9}", fullmatch=True)


@cache
def somebody_elses_output() -> bytes:
    """What every output holds, whoever the patient is: the vocabulary of machine, marks and profile."""
    with tempfile.TemporaryDirectory() as folder:
        deidentified([an_instance(Path(folder) / "in.dcm", ImageComments="of 11.03.2024")], Path(folder) / "out")
        return written(Path(folder) / "out")[0].read_bytes().lower()


@given(family=NAMES, first=NAMES, number=NUMBERS, between=some.sampled_from([" ", "_", "^", ", ", "-"]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_generated_name_or_number_survives(family: str, first: str, number: str, between: str) -> None:
    """DEID-01, DEID-09: whatever the patient is called, no text keeps it, and the verifier agrees."""
    tokens = [family, first, number]
    assume(not any(token.lower().encode("latin-1") in somebody_elses_output() for token in tokens))
    with tempfile.TemporaryDirectory() as folder:
        source = an_instance(
            Path(folder) / "in.dcm",
            PatientName=f"{family}^{first}",
            PatientID=number,
            OtherPatientIDs=None,
            StudyDescription=f"{first}{between}{family}"[:64],
            SeriesDescription=f"dti {family.upper()} {number}"[:64],
            ImageComments=f"{number} for {first.lower()}, {family.title()}",
        )
        answer = deidentified([source], Path(folder) / "out")
        assert answer.passport.residues == []
        (output,) = written(Path(folder) / "out")
        assert left_in(output, tokens) == []
