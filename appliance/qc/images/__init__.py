"""Quality control of the images themselves, after conversion, in a stage of its own: one file a check."""
