"""Events of groups."""

from appliance.events.event import Event


class GroupCompleted(Event, frozen=True, kw_only=True):
    """Every order of a group has ended; told again when late members have ended."""

    title = "Group completed"
    sentence = "Group {group} is complete: {done} of {studies} studies done, {failed} failed."
    group: str
    studies: int
    done: int
    failed: int


class GroupReportMade(Event, frozen=True, kw_only=True):
    """A group's report stands on disk."""

    title = "Group report made"
    sentence = "Report version {version} of group {group} made ({reason})."
    group: str
    report: str
    version: int
    reason: str


class GroupReportSent(Event, frozen=True, kw_only=True):
    """A destination took a group's report."""

    title = "Group report sent"
    sentence = "The report of group {group} was delivered to {destination} at attempt {attempt}. {answer}"
    group: str
    destination: str
    attempt: int
    answer: str = ""


class GroupReportFailed(Event, frozen=True, kw_only=True):
    """A destination did not take a group's report after all attempts."""

    title = "Group report not sent"
    severity = "error"
    sentence = "The report of group {group} could not be delivered to {destination} after {attempt} attempts: {answer}"
    group: str
    destination: str
    attempt: int
    answer: str


class GroupReportWithheld(Event, frozen=True, kw_only=True):
    """A group's report held identity and was not kept; a person must look."""

    title = "Group report withheld"
    severity = "error"
    sentence = "The report of group {group} was not kept: {what}"
    group: str
    what: str


class StudyGrouped(Event, frozen=True, kw_only=True):
    """A person, or the settings, put a study into a group or took it out."""

    title = "Group of a study"
    sentence = "{actor} put the study into {group}."
    group: str
    actor: str
