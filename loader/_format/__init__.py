"""What an artifact is, format 1: manifest, record index, records, tar. `docs/format.md` specifies it."""
