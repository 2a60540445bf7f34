"""What other systems may find and fetch by DICOMweb (PS3.18): QIDO-RS and WADO-RS over what is held."""
