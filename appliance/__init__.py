"""Ranvier's house: everything that happens to a study between its arrival and the delivery of its report."""
