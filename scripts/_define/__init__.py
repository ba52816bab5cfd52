"""Definitions of datasets: their stages in `dvc.yaml`, their blocks in `params.yaml`, and their folders."""
