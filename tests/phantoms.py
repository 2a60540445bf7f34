"""Builders of studies with a known truth, and of studies that must be refused.

study = a_diffusion_study(tmp_path / "study", directions=32, fa=0.8)
study.files             the DICOM files that were written
study.truth             tissues, FA, MD, gradient table
study.identity_tokens   strings that must not be found in anything that leaves, nor in any log
"""

import io
from dataclasses import replace
from pathlib import Path

import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from appliance.demo.phantom import Patient, PhantomStudy, Truth, write_diffusion_study, write_structural_study

__all__ = [
    "Patient",
    "PhantomStudy",
    "Truth",
    "a_diffusion_study",
    "a_lossy_study",
    "a_mixed_study",
    "a_small_diffusion_study",
    "a_structural_study",
]

a_diffusion_study = write_diffusion_study
a_structural_study = write_structural_study


def a_small_diffusion_study(folder: Path, *, patient: Patient | None = None, seed: int = 1) -> PhantomStudy:
    """The smallest study that the product `dti` takes: one b=0 and 6 directions of 24 x 24 x 6; 42 files."""
    return write_diffusion_study(folder, directions=6, slices=6, shape=(24, 24), patient=patient, seed=seed)


def a_mixed_study(folder: Path, *, patient: Patient | None = None, seed: int = 1) -> PhantomStudy:
    """A diffusion series and a T1-weighted one in the same study; the truth is the diffusion's."""
    diffusion = write_diffusion_study(folder, patient=patient, seed=seed)
    structural = write_structural_study(folder, patient=patient, seed=seed)
    return replace(
        diffusion,
        files=diffusion.files + structural.files,
        series_uids=diffusion.series_uids + structural.series_uids,
        uids=list(dict.fromkeys(diffusion.uids + structural.uids)),
    )


def a_lossy_study(folder: Path, *, patient: Patient | None = None, seed: int = 1) -> PhantomStudy:
    """A small diffusion study whose pixels went through JPEG baseline; its headers say so (0028,2110)."""
    study = a_small_diffusion_study(folder, patient=patient, seed=seed)
    for path in study.files:
        dataset = pydicom.dcmread(path)
        packed = io.BytesIO()
        Image.fromarray((dataset.pixel_array / 8).clip(0, 255).astype("uint8")).save(packed, "JPEG", quality=60)
        dataset.PixelData = encapsulate([packed.getvalue()])
        dataset["PixelData"].is_undefined_length = True
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.LossyImageCompression, dataset.LossyImageCompressionRatio = "01", 6.0
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.save_as(path, enforce_file_format=True)
    return study
