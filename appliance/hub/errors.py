"""What the hub answers when it refuses: sentences that clients of the protocol know, word by word."""

from appliance.errors import Conflict, Denied, Rejected, Unknown


class HubOff(Unknown):
    """There is no cloud at this address."""

    code = "hub-off"
    next_step = "Switch it on under Settings, Hub."


class HubNeedsTls(Denied):
    """The cloud is spoken with over HTTPS only."""

    code = "hub-needs-tls"
    next_step = "Switch TLS on under Settings, Access; use https."


class ApiKeyUnknown(Denied):
    """API key not found."""

    code = "hub-key-unknown"
    next_step = "Make a token with the permission hub.use; its secret is the API key."


class NoConnection(Rejected):
    """No connection ID in request header."""

    code = "hub-no-connection"
    next_step = "Connect first."


class ConnectionOver(Denied):
    """Connection not found or over."""

    code = "hub-connection-over"
    next_step = "Connect again."


class Unreadable(Rejected):
    """The request cannot be decrypted or is not of the expected form."""

    code = "hub-unreadable"
    next_step = "Connect again and send it once more."


class BucketNotFound(Unknown):
    """Bucket not found."""

    code = "hub-order-unknown"
    next_step = "Check the order's identifier; an order is seen by the key that made it only."


class UploadUnknown(Unknown):
    """Upload not found."""

    code = "hub-upload-unknown"
    next_step = "Begin the upload again."


class UrlOver(Denied):
    """This presigned URL is wrong or over."""

    code = "hub-url-over"
    next_step = "Ask for a new one."


class PartsDiffer(Conflict):
    """The parts that were uploaded are not the ones named."""

    code = "hub-parts-differ"
    next_step = "Upload the parts again."


class OrderTooLarge(Rejected):
    """The dataset is larger than this hub takes for one order."""

    code = "hub-order-too-large"
    next_step = "Upload less, or raise Settings, Hub, Largest order."


class NotAZip(Rejected):
    """The upload is not a readable ZIP file."""

    code = "hub-not-a-zip"
    next_step = "Upload a ZIP file with DICOM files."


class NoDicom(Rejected):
    """The upload holds no DICOM file that can be stored."""

    code = "hub-no-dicom"
    next_step = "Upload the DICOM files of one study."


class SeveralStudies(Rejected):
    """One order takes one study; this upload holds several."""

    code = "hub-several-studies"
    next_step = "Make an order for each study."


class StudyElsewhere(Conflict):
    """This study was received by another way and belongs to somebody else."""

    code = "hub-study-elsewhere"
    next_step = "Upload a copy with identifiers of its own."


class DatasetClosed(Conflict):
    """This order is run already and takes nothing more."""

    code = "hub-dataset-closed"
    next_step = "Make a new order."


class NoUsagesLeft(Denied):
    """No API key usages remaining."""

    code = "hub-quota"
    next_step = "Raise Settings, Hub, Runs of one key."


class ProductNotFound(Unknown):
    """Product not found."""

    code = "hub-product-unknown"
    next_step = "Choose a product that Settings, Products lists."


class NoDataset(Unknown):
    """No dataset found. Upload a dataset before running QC."""

    code = "hub-no-dataset"
    next_step = "Upload the dataset."


class DatasetInUse(Conflict):
    """Dataset in use, try again later."""

    code = "hub-dataset-in-use"
    next_step = "Ask again in a few seconds."


class QcInProgress(Conflict):
    """QC in progress."""

    code = "hub-qc-in-progress"
    next_step = "Ask again in a few seconds."


class QcBroken(Conflict):
    """QC could not look at this dataset: {cause}"""

    code = "hub-qc-broken"
    next_step = "Look at the dataset; ask again."


class NoResults(Conflict):
    """Results not available."""

    code = "hub-no-results"
    next_step = "Wait until the status says finished."


class FormatUnknown(Rejected):
    """Invalid format."""

    code = "hub-format"
    next_step = "Ask for one of the formats of the protocol."


class NoMail(Rejected):
    """This hub sends no usage report by e-mail; ask for txt or json."""

    code = "hub-no-mail"
    next_step = "Ask for txt or json."


class DatesWrong(Rejected):
    """Invalid date format (MM/DD/YYYY)."""

    code = "hub-dates"
    next_step = "Give both dates as month/day/year."
