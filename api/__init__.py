"""The front door: Litestar routes over the house."""
