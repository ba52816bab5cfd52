"""What an artifact is, format 1: the manifest, the record index, the records, the tar. `docs/format.md` specifies it."""
