"""Where each vendor writes b-value, gradient direction and the numbers of a series; one file a vendor."""
