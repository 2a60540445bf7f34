"""The audit in the words of DICOM: audit messages (PS3.15 section A.5), as IHE ATNA records audit events (ITI-20)."""
