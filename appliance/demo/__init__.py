"""What the demonstration needs at run time: a study with a known truth, made on the spot."""
