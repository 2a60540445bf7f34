"""One file a screen: `x.py` with `x.tcss` beside it."""
