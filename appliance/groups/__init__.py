"""Groups: cohorts of orders with the same products."""
