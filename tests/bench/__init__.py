"""Measurements as ratios to named peers of the same run; never pass or fail on time."""
