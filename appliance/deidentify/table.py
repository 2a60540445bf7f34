"""The attributes that the profile names one by one; see `profile` for all others.

The reasons are the categories of the HIPAA Safe Harbor method, 45 CFR 164.514(b)(2)(i)(A)-(R), numbered 1-18, or an option of
PS3.15 Annex E.
"""

from collections.abc import Mapping

from appliance.deidentify.rules import Action, Kind, Rule


def _rows(action: Action, kind: Kind, reason: str, listed: str) -> dict[int, Rule]:
    rule = Rule(action, kind, reason)
    return {int(line.split()[0], 16): rule for line in listed.strip().splitlines()}


NAMES = "Safe Harbor 1: names"
PLACES = "Safe Harbor 2: geographic subdivisions"
DATES = "Safe Harbor 3: dates"
CONTACT = "Safe Harbor 4-6: telephone, fax, e-mail"
NUMBERS = "Safe Harbor 7-13: numbers and identifiers"
OTHER = "Safe Harbor 18: any other identifying characteristic"
TEXT = "PS3.15 Clean Descriptors: free text not needed by a product is removed"
CLEAN = "PS3.15 Clean Descriptors: text is kept without what identifies"
IMAGE = "needed to read and interpret the image"

# Type 2 attributes (PS3.3) stay with zero length, so that the output remains a valid object.
TABLE: Mapping[int, Rule] = {
    **_rows(
        Action.EMPTY,
        Kind.NAME,
        NAMES,
        """
        00100010 PatientName
        00080090 ReferringPhysicianName
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.NAME,
        NAMES,
        """
        00101001 OtherPatientNames
        00101005 PatientBirthName
        00101060 PatientMotherBirthName
        00102297 ResponsiblePerson
        00102299 ResponsibleOrganization
        0008009C ConsultingPhysicianName
        00081048 PhysiciansOfRecord
        00081050 PerformingPhysicianName
        00081060 NameOfPhysiciansReadingStudy
        00081070 OperatorsName
        00321032 RequestingPhysician
        00400006 ScheduledPerformingPhysicianName
        00401010 NamesOfIntendedRecipientsOfResults
        00402008 OrderEnteredBy
        00404037 HumanPerformerName
        0040A075 VerifyingObserverName
        0040A123 PersonName
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.OTHER,
        NAMES,
        """
        00102298 ResponsiblePersonRole
        00080096 ReferringPhysicianIdentificationSequence
        0008009D ConsultingPhysicianIdentificationSequence
        00081049 PhysiciansOfRecordIdentificationSequence
        00081052 PerformingPhysicianIdentificationSequence
        00081062 PhysiciansReadingStudyIdentificationSequence
        00081072 OperatorIdentificationSequence
        00081120 ReferencedPatientSequence
        00321031 RequestingPhysicianIdentificationSequence
        0040000B ScheduledPerformingPhysicianIdentificationSequence
        00401101 PersonIdentificationCodeSequence
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.PLACE,
        PLACES,
        """
        00080080 InstitutionName
        00080081 InstitutionAddress
        00080092 ReferringPhysicianAddress
        00081010 StationName
        00081040 InstitutionalDepartmentName
        00101040 PatientAddress
        00101080 MilitaryRank
        00101081 BranchOfService
        00102150 CountryOfResidence
        00102152 RegionOfResidence
        00380300 CurrentPatientLocation
        00380400 PatientInstitutionResidence
        00400010 ScheduledStationName
        00400011 ScheduledProcedureStepLocation
        00400242 PerformedStationName
        00400243 PerformedLocation
        00401005 RequestedProcedureLocation
        00401102 PersonAddress
        00402009 OrderEntererLocation
        00404036 HumanPerformerOrganization
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.OTHER,
        PLACES,
        """
        00080082 InstitutionCodeSequence
        00081041 InstitutionalDepartmentTypeCodeSequence
        00080201 TimezoneOffsetFromUTC
        00404028 PerformedStationNameCodeSequence
        00404030 PerformedStationGeographicLocationCodeSequence
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.CONTACT,
        CONTACT,
        """
        00080094 ReferringPhysicianTelephoneNumbers
        00102154 PatientTelephoneNumbers
        00102155 PatientTelecomInformation
        00401103 PersonTelephoneNumbers
        00401104 PersonTelecomInformation
        00402010 OrderCallbackPhoneNumber
        00402011 OrderCallbackTelecomInformation
        """,
    ),
    **_rows(
        Action.EMPTY,
        Kind.IDENTIFIER,
        NUMBERS,
        """
        00080050 AccessionNumber
        00100020 PatientID
        00200010 StudyID
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.IDENTIFIER,
        NUMBERS,
        """
        00080054 RetrieveAETitle
        00080055 StationAETitle
        00081000 NetworkID
        00100021 IssuerOfPatientID
        00101000 OtherPatientIDs
        00101050 InsurancePlanIdentification
        00101090 MedicalRecordLocator
        00120040 ClinicalTrialSubjectID
        00181000 DeviceSerialNumber
        00181003 DeviceID
        00181004 PlateID
        00181005 GeneratorID
        00181007 CassetteID
        00181008 GantryID
        00181010 SecondaryCaptureDeviceID
        00181011 HardcopyCreationDeviceID
        0018700A DetectorID
        00203401 ModifyingDeviceID
        00380010 AdmissionID
        00380011 IssuerOfAdmissionID
        00380060 ServiceEpisodeID
        00400001 ScheduledStationAETitle
        00400009 ScheduledProcedureStepID
        00400241 PerformedStationAETitle
        00400253 PerformedProcedureStepID
        00401001 RequestedProcedureID
        00402016 PlacerOrderNumberImagingServiceRequest
        00402017 FillerOrderNumberImagingServiceRequest
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.IDENTIFIER,
        OTHER,
        """
        00102160 EthnicGroup
        00102180 Occupation
        001021F0 PatientReligiousPreference
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.OTHER,
        NUMBERS,
        """
        00080051 IssuerOfAccessionNumberSequence
        00081190 RetrieveURL
        00101002 OtherPatientIDsSequence
        0018A001 ContributingEquipmentSequence
        00287FE0 PixelDataProviderURL
        00400275 RequestAttributesSequence
        0040E010 RetrieveURI
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.TEXT,
        TEXT,
        """
        00081080 AdmittingDiagnosesDescription
        00081084 AdmittingDiagnosesCodeSequence
        00084000 IdentifyingComments
        00184000 AcquisitionComments
        0018A003 ContributionDescription
        00284000 ImagePresentationComments
        00400280 CommentsOnThePerformedProcedureStep
        00400400 CommentsOnTheScheduledProcedureStep
        00401002 ReasonForTheRequestedProcedure
        00401004 PatientTransportArrangements
        00401400 RequestedProcedureComments
        00402001 ReasonForTheImagingServiceRequest
        00402400 ImagingServiceRequestComments
        00403001 ConfidentialityConstraintOnPatientDataDescription
        0040A160 TextValue
        0040A730 ContentSequence
        """,
    ),
    **_rows(
        Action.SCRUB,
        Kind.TEXT,
        CLEAN,
        """
        00081030 StudyDescription
        0008103E SeriesDescription
        00082111 DerivationDescription
        00180010 ContrastBolusAgent
        00181030 ProtocolName
        00204000 ImageComments
        00209158 FrameComments
        00281055 WindowCenterWidthExplanation
        00400254 PerformedProcedureStepDescription
        00400255 PerformedProcedureTypeDescription
        00409210 LUTLabel
        """,
    ),
    **_rows(
        Action.KEEP,
        Kind.TECHNICAL,
        IMAGE,
        """
        00080005 SpecificCharacterSet
        00080008 ImageType
        00080070 Manufacturer
        00080100 CodeValue
        00080102 CodingSchemeDesignator
        00080103 CodingSchemeVersion
        00080104 CodeMeaning
        00080106 ContextGroupVersion
        00080107 ContextGroupLocalVersion
        0008010C CodingSchemeUID
        00080117 ContextUID
        00080118 MappingResourceUID
        00081090 ManufacturerModelName
        00180015 BodyPartExamined
        00180020 ScanningSequence
        00180021 SequenceVariant
        00180022 ScanOptions
        00180024 SequenceName
        00180085 ImagedNucleus
        00181020 SoftwareVersions
        00181250 ReceiveCoilName
        00181251 TransmitCoilName
        00189005 PulseSequenceName
        00189041 ReceiveCoilManufacturerName
        00189047 MultiCoilElementName
        00189050 TransmitCoilManufacturerName
        00201040 PositionReferenceIndicator
        00209056 StackID
        00281054 RescaleType
        00281201 RedPaletteColorLookupTableData
        00281202 GreenPaletteColorLookupTableData
        00281203 BluePaletteColorLookupTableData
        00283006 LUTData
        7FE00001 ExtendedOffsetTable
        7FE00002 ExtendedOffsetTableLengths
        7FE00008 FloatPixelData
        7FE00009 DoubleFloatPixelData
        7FE00010 PixelData
        """,
    ),
    **_rows(
        Action.KEEP,
        Kind.OTHER,
        "PS3.15 Retain Patient Characteristics",
        """
        00100040 PatientSex
        00101020 PatientSize
        00101030 PatientWeight
        """,
    ),
    **_rows(Action.MASK, Kind.OTHER, "Safe Harbor 3: ages over 89 become 90", "00101010 PatientAge"),
    **_rows(
        Action.SHIFT,
        Kind.DATE,
        DATES,
        """
        00080020 StudyDate
        00080030 StudyTime
        00100030 PatientBirthDate
        """,
    ),
    **_rows(
        Action.REMOVE,
        Kind.OTHER,
        "says how the source was de-identified; the output says how it was",
        """
        00120062 PatientIdentityRemoved
        00120063 DeidentificationMethod
        00120064 DeidentificationMethodCodeSequence
        00280303 LongitudinalTemporalInformationModified
        """,
    ),
}
