"""Reports: from numbers to every format."""
