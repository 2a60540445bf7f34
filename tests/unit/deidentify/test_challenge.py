"""The share of required actions that are done, over many studies of six modalities; the key is read by the scorer alone."""

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.deidentify.errors import NotAnImageInput
from tests.unit.deidentify.challenge import LEAVING, Score, a_study, score
from tests.unit.deidentify.planted import deidentified, written

CATEGORIES = ("text", "date", "UID", "private", "nested", "pixel", "retain")


@pytest.mark.parametrize("count", [12, pytest.param(300, marks=pytest.mark.long)])
def test_every_required_action_is_done(count: int, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """DEID-01 to DEID-09: required actions by category, in the style of the MIDI-B challenge; the goal is 100.00 %."""
    result, uids, left = Score(), dict[str, str](), 0
    for number in range(count):
        study = a_study(number, tmp_path / f"in{number}")
        out = tmp_path / f"out{number}"
        if study.modality not in LEAVING:
            with pytest.raises(NotAnImageInput):
                deidentified(study.files, out)
            result.ask("pixel", not out.exists(), f"{study.modality} leaves")
            continue
        answer = deidentified(study.files, out, pseudonym=f"p{number}", profile=study.profile)
        result.ask("nested", answer.passport.residues == [], f"study {number}: {answer.passport.residues[:3]}")
        if answer.passport.clean:
            left += 1
            score(study, written(out), result, uids)
    record_property("studies that left", left)
    record_property("all", result.total)
    for category in CATEGORIES:
        record_property(category, result.line(category))
    assert result.failed[:8] == []
    assert left > count / 2 and set(result.asked) == set(CATEGORIES)
