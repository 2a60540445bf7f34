"""Events of receiving: what came, what became of it, and who was turned away."""

from appliance.events.event import Event


class InstancesArrived(Event, frozen=True, kw_only=True):
    """Instances were filed."""

    title = "Instances arrived"
    sentence = "{count} instances filed from {sender}."
    count: int
    sender: str


class StudyStable(Event, frozen=True, kw_only=True):
    """Nothing came for the quiet time, and no association is open."""

    title = "Study complete"
    sentence = "Study version {version} is stable with {instances} instances."
    version: int
    instances: int
    forced: bool = False
    """A person said that it is complete, before nothing had come for the quiet time."""


class StudyReopened(Event, frozen=True, kw_only=True):
    """Instances came after the study was stable."""

    title = "Late instances"
    severity = "warning"
    sentence = "Late instances made version {version} of the study."
    version: int


class PullDone(Event, frozen=True, kw_only=True):
    """A PACS node has sent what was asked of it."""

    title = "Pull done"
    sentence = "{node} sent {completed} instances{rest}."
    node: str
    completed: int
    rest: str = ""


class PullFailed(Event, frozen=True, kw_only=True):
    """A PACS node did not send what was asked of it."""

    title = "Pull failed"
    severity = "warning"
    sentence = "The pull from {node} failed: {what}"
    node: str
    what: str


class StudyIncomplete(Event, frozen=True, kw_only=True):
    """The source of a study holds more of it than came."""

    title = "Study incomplete"
    severity = "warning"
    sentence = "{held} of the {expected} instances that {node} holds are here."
    node: str
    held: int
    expected: int


class StudyQuarantined(Event, frozen=True, kw_only=True):
    """A study was put aside for a person."""

    title = "Study quarantined"
    severity = "warning"
    sentence = "Study quarantined: {reason}."
    reason: str


class StudyReleased(Event, frozen=True, kw_only=True):
    """A person let a study out of quarantine."""

    title = "Study released"
    severity = "warning"
    sentence = "Study released from quarantine by {actor}; it goes on when it is quiet."
    actor: str


class InstanceConflict(Event, frozen=True, kw_only=True):
    """One SOP Instance UID came with two contents; both are kept."""

    title = "Conflicting instance"
    severity = "warning"
    sentence = "{count} instances came again with other content; both are kept."
    count: int


class InstanceQuarantined(Event, frozen=True, kw_only=True):
    """Bytes were received that cannot be filed; they are kept apart."""

    title = "Instance quarantined"
    severity = "warning"
    sentence = "An instance cannot be filed: {reason}."
    reason: str


class AssociationRefused(Event, frozen=True, kw_only=True):
    """A caller was turned away."""

    title = "Association refused"
    severity = "warning"
    sentence = "Association of {caller} from {address} refused: {reason}; {advice}."
    caller: str
    address: str
    reason: str
    advice: str = "look into the log of receiving"


class AssociationFailed(Event, frozen=True, kw_only=True):
    """An association was aborted, broke off, or left instances unstored; what was acknowledged is kept."""

    title = "Association failed"
    severity = "warning"
    sentence = "Association of {caller} from {address} failed: {reason}; {advice}."
    caller: str
    address: str
    reason: str
    advice: str = "look into the log of receiving"


class DropTaken(Event, frozen=True, kw_only=True):
    """What a site put into a watched folder was brought in."""

    title = "Drop taken"
    sentence = "Watched folder {folder}: {stored} instances of {studies} studies came in, {left_out} files were left out."
    folder: str
    stored: int
    studies: int
    left_out: int


class DropRefused(Event, frozen=True, kw_only=True):
    """What a site put into a watched folder could not be used."""

    title = "Drop refused"
    severity = "warning"
    sentence = "Watched folder {folder}: a drop was refused. {what}"
    folder: str
    what: str


class SubmissionSent(Event, frozen=True, kw_only=True):
    """Somebody handed images in; they are looked through before anything else sees them."""

    title = "Upload handed in"
    sentence = "Upload {reference} was handed in for {source}; it is looked through."
    reference: str
    source: str


class SubmissionStored(Event, frozen=True, kw_only=True):
    """What somebody handed in is a study now."""

    title = "Upload stored"
    sentence = "Upload {reference}: {instances} images of {studies} studies and {documents} documents were stored."
    reference: str
    studies: int
    instances: int
    documents: int


class SubmissionHeld(Event, frozen=True, kw_only=True):
    """What somebody handed in waits for an administrator."""

    title = "Upload waits for a person"
    severity = "warning"
    sentence = "Upload {reference} waits for an administrator. {what}"
    reference: str
    what: str


class SubmissionRejected(Event, frozen=True, kw_only=True):
    """What somebody handed in was not taken; nothing of it was kept."""

    title = "Upload rejected"
    severity = "warning"
    sentence = "Upload {reference} was rejected, and nothing of it was kept. {what}"
    reference: str
    what: str


class StudyReviewed(Event, frozen=True, kw_only=True):
    """Somebody looked at an uploaded study, or took that back."""

    title = "Uploaded study reviewed"
    sentence = "{actor} gave the label {label}."
    actor: str
    label: str


class StudyLinked(Event, frozen=True, kw_only=True):
    """An uploaded study was linked to a patient, or that was undone."""

    title = "Uploaded study linked"
    sentence = "{actor}: {what}."
    actor: str
    what: str
