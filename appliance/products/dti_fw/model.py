"""Prediction indexes, only by model files that a site installed and whose signature one of the site's keys confirms.

`<data folder>/models/<name>.json` is the model, `<name>.json.sig` its detached Ed25519 signature in base64 over the file's
bytes, `<data folder>/keys/<key>.pub` the makers' public keys (32 bytes in base64) that an administrator installed. A model is
a weighted sum of standardised features, as documented in `Model`; nothing in it is executed.
"""

import base64
import binascii
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from appliance.keys import signed_by
from appliance.products.manifest import Value


class Feature(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One input of a model."""

    name: str
    """A column of the feature vector, or `age_years`."""
    mean: float
    sd: Annotated[float, Meta(gt=0)]
    weight: float
    low: float
    """The range in the training data."""
    high: float


class Model(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A model file, schema `ranvier-model/1`: link(intercept + sum of weight * (value - mean) / sd)."""

    schema: Literal["ranvier-model/1"]
    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_\-]{0,39}(?!\n)$")]
    version: Annotated[str, Meta(min_length=1, max_length=32)]
    title: Annotated[str, Meta(min_length=1, max_length=100)]
    intended_use: Annotated[str, Meta(min_length=1, max_length=1000)]
    unit: str = ""
    link: Literal["identity", "logistic"] = "identity"
    intercept: float
    features: Annotated[list[Feature], Meta(min_length=1)]
    product: str
    """Whose feature vector the model was trained on, `dti-fw`."""
    product_versions: list[str]
    b_values: list[float] = []
    """Shells of the training data in s/mm2; empty where the model does not say."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What installed models say of one feature vector."""

    values: list[Value]
    notes: list[str]
    provenance: dict[str, str]


NONE_INSTALLED = "No prediction index: no model file is installed."


def predict(data_folder: Path, features: dict[str, float], product: tuple[str, str], shells: list[int]) -> Prediction:
    """Applies every signed model of the data folder; says which were refused, and where a value is out of a model's range."""
    values: list[Value] = []
    notes: list[str] = []
    provenance: dict[str, str] = {}
    keys = _keys(data_folder / "keys")
    files = sorted((data_folder / "models").glob("*.json"))
    for file in files:
        content = file.read_bytes()
        key = _signer(content, file.with_name(f"{file.name}.sig"), keys)
        if key is None:
            notes.append(f"The model file {file.name} was refused: no installed key confirms its signature.")
            continue
        try:
            model = msgspec.json.decode(content, type=Model)
        except msgspec.MsgspecError:
            notes.append(f"The model file {file.name} was refused: it is signed, but not as documented.")
            continue
        missing = [one.name for one in model.features if one.name not in features]
        if missing or model.product != product[0]:
            what = f"it needs {missing[0]} and {len(missing) - 1} more" if missing else f"it was made for {model.product}"
            notes.append(f"{model.title}: no prediction, because {what}.")
            continue
        outside = _outside(model, features, product[1], shells)
        note = f"model {model.name} {model.version}, key {key}"
        if outside:
            note += "; OUT OF THE MODEL'S RANGE: " + ", ".join(outside)
            notes.append(f"{model.title}: outside the range that the model was trained on ({', '.join(outside)}).")
        values.append(
            Value(
                name=f"prediction_{model.name.replace('-', '_')}",
                label=model.title,
                value=round(_value(model, features), 4),
                unit=model.unit,
                note=note,
            )
        )
        notes.append(f"{model.title}, intended use: {model.intended_use}")
        provenance[f"model {model.name}"] = f"{model.version}, key {key}"
    if not files:
        notes.append(NONE_INSTALLED)
    return Prediction(values, notes, provenance)


def _keys(folder: Path) -> dict[str, bytes]:
    found = {}
    for file in sorted(folder.glob("*.pub")):
        try:
            key = base64.b64decode(file.read_bytes().strip(), validate=True)
        except binascii.Error:
            continue
        if len(key) == 32:
            found[file.stem] = key
    return found


def _signer(content: bytes, signature_file: Path, keys: dict[str, bytes]) -> str | None:
    """The name of the key whose owner signed, None where nobody did."""
    try:
        signature = base64.b64decode(signature_file.read_bytes().strip(), validate=True)
    except (FileNotFoundError, binascii.Error):
        return None
    return next((name for name, key in keys.items() if signed_by(key, content, signature)), None)


def _outside(model: Model, features: dict[str, float], version: str, shells: list[int]) -> list[str]:
    found = [
        f"{one.name} {features[one.name]:g} (trained on {one.low:g} to {one.high:g})"
        for one in model.features
        if not one.low <= features[one.name] <= one.high
    ]
    if model.product_versions and version not in model.product_versions:
        found.append(f"product version {version} (trained on {', '.join(model.product_versions)})")
    if model.b_values and any(min(abs(shell - b) for b in model.b_values) > 100 for shell in shells):
        found.append(f"b-values {', '.join(map(str, shells))}")
    return found


def _value(model: Model, features: dict[str, float]) -> float:
    total = model.intercept + sum(one.weight * (features[one.name] - one.mean) / one.sd for one in model.features)
    if model.link == "identity":
        return total
    # Written so that neither sign overflows.
    return 1 / (1 + math.exp(-total)) if total >= 0 else math.exp(total) / (1 + math.exp(total))
