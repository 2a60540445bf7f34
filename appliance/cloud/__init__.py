"""Cloud: being a client of the two cloud protocols."""
