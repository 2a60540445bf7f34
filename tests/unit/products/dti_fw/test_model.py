"""Predictions only by signed models; z-scores only by an installed table."""

import base64
import json
import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from appliance.products.dti_fw.model import NONE_INSTALLED, Prediction, predict
from appliance.products.dti_fw.norms import NormsWrong, z_scores
from appliance.products.manifest import Value

FEATURES = {"fa_mean_genu_of_corpus_callosum": 0.5, "age_years": 70.0}
MODEL: dict[str, Any] = {
    "schema": "ranvier-model/1",
    "name": "example",
    "version": "2.1",
    "title": "Example index",
    "intended_use": "Tests only.",
    "intercept": 1.0,
    "product": "dti-fw",
    "product_versions": ["1.0.0"],
    "b_values": [1000],
    "features": [
        {"name": "fa_mean_genu_of_corpus_callosum", "mean": 0.6, "sd": 0.05, "weight": 2.0, "low": 0.4, "high": 0.8},
        {"name": "age_years", "mean": 60, "sd": 10, "weight": 0.5, "low": 40, "high": 80},
    ],
}
MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def _installed(folder: Path, key: Ed25519PrivateKey | None = MAKER, **changed: object) -> Path:
    (folder / "models").mkdir()
    (folder / "keys").mkdir()
    public = MAKER.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    (folder / "keys" / "maker.pub").write_bytes(base64.b64encode(public) + b"\n")
    content = json.dumps({**MODEL, **changed}).encode()
    (folder / "models" / "example.json").write_bytes(content)
    if key is not None:
        (folder / "models" / "example.json.sig").write_bytes(base64.b64encode(key.sign(content)))
    return folder


def _predicted(folder: Path, **features: float) -> Prediction:
    return predict(folder, {**FEATURES, **features}, ("dti-fw", "1.0.0"), [1000])


def test_without_a_model_there_is_no_prediction_and_the_report_says_so(tmp_path: Path) -> None:
    """PRO-03: never an invented prediction."""
    assert _predicted(tmp_path) == Prediction([], [NONE_INSTALLED], {})


def test_a_signed_model_predicts_and_is_named_with_version_and_key(tmp_path: Path) -> None:
    """PRO-03: 1 + 2 * (0.5 - 0.6) / 0.05 + 0.5 * (70 - 60) / 10 = -2.5."""
    found = _predicted(_installed(tmp_path))
    assert [(one.name, one.value, one.note) for one in found.values] == [
        ("prediction_example", -2.5, "model example 2.1, key maker")
    ]
    assert found.provenance == {"model example": "2.1, key maker"}


def test_the_logistic_link_gives_a_share(tmp_path: Path) -> None:
    found = _predicted(_installed(tmp_path, link="logistic"))
    assert found.values[0].value == pytest.approx(0.0759, abs=1e-4)


@pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not installed")
def test_a_model_signed_as_the_manual_says_is_believed(tmp_path: Path) -> None:
    """PRO-03: with the documented model and the documented commands, nothing of ours."""
    page = (Path(__file__).parents[4] / "appliance" / "docs" / "diffusion.md").read_text()
    blocks = re.findall(r"(?:^    .*\n)+", page, re.MULTILINE)
    model = next(one for one in blocks if "ranvier-model/1" in one)
    commands = next(one for one in blocks if "openssl genpkey" in one)
    for name in ("models", "keys"):
        (tmp_path / name).mkdir()
    (tmp_path / "example.json").write_text(textwrap.dedent(model))
    subprocess.run(["/bin/sh", "-e", "-c", textwrap.dedent(commands)], cwd=tmp_path, check=True)
    for file, folder in (("example.json", "models"), ("example.json.sig", "models"), ("maker.pub", "keys")):
        (tmp_path / file).rename(tmp_path / folder / file)
    found = predict(tmp_path, {"fa_mean_white_matter": 0.45}, ("dti-fw", "1.0.0"), [1000])
    assert [(one.name, one.value) for one in found.values] == [("prediction_example", 1.0)]
    assert "key maker" in found.values[0].note


@pytest.mark.parametrize("key", [None, Ed25519PrivateKey.from_private_bytes(bytes(32))], ids=["unsigned", "another's key"])
def test_a_model_that_no_installed_key_confirms_is_refused(tmp_path: Path, key: Ed25519PrivateKey | None) -> None:
    """PRO-03: unsigned, or signed by somebody else: no number, and a sentence."""
    found = _predicted(_installed(tmp_path, key))
    assert not found.values
    assert found.notes == ["The model file example.json was refused: no installed key confirms its signature."]


def test_a_model_changed_after_signing_is_refused(tmp_path: Path) -> None:
    file = _installed(tmp_path) / "models" / "example.json"
    file.write_bytes(file.read_bytes().replace(b'"weight": 2.0', b'"weight": 9.0'))
    assert not _predicted(tmp_path).values


def test_a_value_out_of_the_training_range_is_flagged_beside_the_number(tmp_path: Path) -> None:
    found = _predicted(_installed(tmp_path), age_years=91.0)
    assert "OUT OF THE MODEL'S RANGE: age_years 91 (trained on 40 to 80)" in found.values[0].note
    assert any("outside the range" in note for note in found.notes)


def test_another_protocol_is_flagged_beside_the_number(tmp_path: Path) -> None:
    found = predict(_installed(tmp_path), FEATURES, ("dti-fw", "9.0.0"), [2000])
    assert "product version 9.0.0" in found.values[0].note
    assert "b-values 2000" in found.values[0].note


def test_a_model_whose_features_are_missing_predicts_nothing(tmp_path: Path) -> None:
    found = predict(_installed(tmp_path), {"age_years": 70.0}, ("dti-fw", "1.0.0"), [1000])
    assert not found.values
    assert "no prediction, because it needs fa_mean_genu_of_corpus_callosum" in found.notes[0]


def test_a_signed_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    found = _predicted(_installed(tmp_path, surprise=True))
    assert not found.values
    assert "not as documented" in found.notes[0]


VALUES = [Value(name="fa_mean_brain", label="FA mean, brain", value=0.30)]


def _norms(folder: Path, **row: object) -> Path:
    (folder / "norms").mkdir()
    group = {"feature": "fa_mean_brain", "age_low": 60, "age_high": 70, "mean": 0.28, "sd": 0.01, "people": 40, **row}
    table = {"name": "example norms", "version": "1", "source": "tests", "rows": [group]}
    (folder / "norms" / "norms.json").write_text(json.dumps(table))
    return folder


def test_a_z_score_is_against_the_group_of_age_and_sex(tmp_path: Path) -> None:
    scores, notes = z_scores(_norms(tmp_path, sex="F"), VALUES, 65.0, "F")
    assert [(one.name, one.value) for one in scores] == [("z_fa_mean_brain", 2.0)]
    assert "mean 0.28, SD 0.01, 40 people" in scores[0].note
    assert "example norms 1" in notes[0]


@pytest.mark.parametrize(("age", "sex"), [(75.0, "F"), (65.0, "M"), (None, "F")])
def test_without_a_fitting_group_there_is_no_z_score(tmp_path: Path, age: float | None, sex: str) -> None:
    scores, notes = z_scores(_norms(tmp_path, sex="F"), VALUES, age, sex)
    assert not scores
    assert notes[0].startswith("No z-scores")


def test_without_a_table_nothing_is_said(tmp_path: Path) -> None:
    assert z_scores(tmp_path, VALUES, 65.0, "F") == ([], [])


def test_a_table_that_is_not_as_documented_ends_by_name(tmp_path: Path) -> None:
    with pytest.raises(NormsWrong):
        z_scores(_norms(tmp_path, sd=0), VALUES, 65.0, "F")
