"""Products: what can be computed on a study, one folder a product."""
