"""Artifact format 1: manifest, record index, records and tar. `docs/format.md` specifies it."""
