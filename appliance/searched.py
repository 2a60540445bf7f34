"""Stages whose files leave without the patient's identity: they are made, and looked through before anybody may have them."""

from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.deidentify.last_look import Sought, look
from appliance.reports.cohort_content import CohortRequest
from appliance.reports.content import CopyRequest, RenderAnswer, RenderRequest

Progress = Callable[[float, str], None]


class SearchedReport(RenderRequest, kw_only=True, frozen=True):
    """A report whose formats name nobody."""

    sought: Sought = Sought()


class SearchedCopies(CopyRequest, kw_only=True, frozen=True):
    """Copies for one destination; `sought` is None where it may have the identity."""

    sought: Sought | None = None


class SearchedCohort(CohortRequest, kw_only=True, frozen=True):
    """The report of a group."""

    sought: Sought = Sought()


class SearchRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Look through files that lie here: name -> path."""

    files: dict[str, str]
    sought: Sought


class Searched(RenderAnswer, kw_only=True, frozen=True):
    """Format -> file name, and format -> SHA-256 of the bytes that were looked through."""

    searched: dict[str, str] = {}


def report(request: SearchedReport, progress: Progress) -> Searched:
    """Makes a report's formats and looks through them; raises what `render.run` raises, and `IdentityFound`."""
    from appliance.reports import render

    return _looked_through(render.run(request, progress).files, request.out_folder, request.sought)


def copies(request: SearchedCopies, progress: Progress) -> Searched:
    """Makes the copies of one destination; raises what `copies.run` raises, and `IdentityFound`."""
    from appliance.reports import copies as made

    return _looked_through(made.run(request, progress).files, request.out_folder, request.sought or Sought())


def cohort(request: SearchedCohort, progress: Progress) -> Searched:
    """Makes the files of a group's report and looks through them; raises `IdentityFound`."""
    from appliance.reports import cohort as made

    return _looked_through(made.run(request, progress).files, request.out_folder, request.sought)


def search(request: SearchRequest, progress: Progress) -> Searched:
    """Looks through files that were made before they were looked through, or have changed since; raises `IdentityFound`."""
    passed = look(request.sought, ((name, Path(path)) for name, path in request.files.items()))
    progress(1.0, "looked through")
    return Searched(files={}, searched=passed)


def _looked_through(files: dict[str, str], folder: str, sought: Sought) -> Searched:
    return Searched(files=files, searched=look(sought, ((name, Path(folder) / file) for name, file in files.items())))
