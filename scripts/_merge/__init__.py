"""Merging what two branches did to datasets: `params.yaml`, `dvc.yaml` and `dvc.lock` by entry, and the records."""
