"""Which keys of a JSON sidecar stay (BIDS 1.10 and dcm2niix): an allow-list; all others go, whatever they are called.

Numbers and yes or no stay as they are, text stays when it is a short code, and free text is scrubbed. What a value is about
decides what is searched for in the output.
"""

from collections.abc import Mapping

from appliance.deidentify.rules import Kind

_NUMBERS = """
    MagneticFieldStrength ImagingFrequency SeriesNumber AcquisitionNumber PhilipsRescaleSlope PhilipsRescaleIntercept
    PhilipsScaleSlope PhilipsScaleIntercept UsePhilipsFloatNotDisplayScaling SliceThickness SpacingBetweenSlices
    NumberOfAverages EchoTime EchoTime1 EchoTime2 EchoNumber RepetitionTime InversionTime MTState SpoilingState FlipAngle
    PercentPhaseFOV PercentSampling EchoTrainLength PhaseEncodingSteps PhaseEncodingStepsNoPartialFourier
    FrequencyEncodingSteps PhaseEncodingStepsOutOfPlane AcquisitionMatrixPE ReconMatrixPE BaseResolution PartialFourier
    ParallelReductionFactorInPlane ParallelReductionFactorOutOfPlane WaterFatShift EstimatedEffectiveEchoSpacing
    EstimatedTotalReadoutTime EffectiveEchoSpacing TotalReadoutTime DerivedVendorReportedEchoSpacing DwellTime
    NumberOfKSpaceTrajectories PixelBandwidth BandwidthPerPixelPhaseEncode ImageOrientationPatientDICOM SliceTiming
    MultibandAccelerationFactor AccelFactPE AccelFactSlice SAR VendorReportedEchoSpacing ShimSetting TxRefAmp RefLinesPE
    PhaseResolution PhaseOversampling NumberOfDirections DiffusionBValue DiffusionGradientOrientation
    NonlinearGradientCorrection PatientWeight PatientSize RawImage InterpolationFactor
    RescaleSlope RescaleIntercept
"""
NUMBERS = frozenset(_NUMBERS.split())
"""Values are numbers, yes or no, or lists of them."""

_CODES = """
    Modality Manufacturer ManufacturersModelName BodyPart BodyPartExamined PatientPosition SoftwareVersions MRAcquisitionType
    ScanningSequence SequenceVariant PulseSequenceType ScanOptions SequenceName PulseSequenceName ImageType
    PartialFourierDirection PartialFourierEnabled ParallelAcquisitionTechnique PhaseEncodingAxis PhaseEncodingDirection
    PhaseEncodingPolarityGE InPlanePhaseEncodingDirectionDICOM SliceEncodingDirection DiffusionScheme ReceiveCoilName
    ReceiveCoilActiveElements CoilString CoilCombinationMethod MatrixCoilMode ConversionSoftware ConversionSoftwareVersion
    PatientSex
"""
CODES = frozenset(_CODES.split())
"""Values are short words of the machine; the patient's own names and numbers are taken out of them."""

LONGEST_CODE = 64

TEXTS = frozenset({"SeriesDescription", "ProtocolName", "StudyDescription"})
"""Free text: scrubbed like that of DICOM."""

AGE = "PatientAge"

IDENTIFYING: Mapping[str, Kind] = {
    **dict.fromkeys(("PatientName", "PatientsName"), Kind.NAME),
    **dict.fromkeys(
        ("ReferringPhysicianName", "PerformingPhysicianName", "PhysiciansOfRecord", "OperatorsName", "RequestingPhysician"),
        Kind.NAME,
    ),
    **dict.fromkeys(
        ("PatientID", "AccessionNumber", "StudyID", "DeviceSerialNumber", "OtherPatientIDs", "IssuerOfPatientID", "MRN"),
        Kind.IDENTIFIER,
    ),
    **dict.fromkeys(
        ("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName", "StationName", "PatientAddress"), Kind.PLACE
    ),
}
"""Keys that go and whose values are looked for in what stays; spellings with a small letter or underscores count as well."""


def plain_key(key: str) -> str:
    """`patient_name` and `patientName` are `PatientName`."""
    words = key.split("_") if "_" in key else [key]
    return "".join(word[:1].upper() + word[1:] for word in words)
