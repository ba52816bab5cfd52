"""Processes, scratch folders, files and errors: used by all other packages of `scripts`."""
