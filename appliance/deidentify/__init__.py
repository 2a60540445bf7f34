"""De-identification: the profile as data, the engine, the verifier, the passport."""
