"""The original instances that a report's numbers come from, as references for DICOM objects (PS3.3 section 10.8)."""

from collections.abc import Iterable
from typing import NamedTuple

from pydicom import config, dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import MRImageStorage

from appliance.moments import uid_of

_TAGS = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


class Source(NamedTuple):
    """One original instance that the report's numbers come from."""

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str = ""


def reference(source: Source) -> Dataset:
    """An item that refers to it (PS3.3 table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.sop_class_uid, source.sop_instance_uid
    return item


def read(paths: Iterable[str], study_instance_uid: str) -> list[Source]:
    """The instances of a study, by series; files that are gone or belong elsewhere are left out."""
    found: list[Source] = []
    for path in paths:
        try:
            with config.disable_value_validation():
                header = dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS), force=False)
        except (FileNotFoundError, InvalidDicomError):
            continue
        values = [str(header.get(name, "")) for name in _TAGS]
        if all(values) and values[3] == study_instance_uid:
            found.append(Source(*values[:3]))
    return sorted(found, key=lambda one: one.series_instance_uid)


def invented(order: str) -> Source:
    """What a test object refers to, for a structured report must refer to something: an image that nobody has."""
    return Source(MRImageStorage, uid_of(order), uid_of(order))
