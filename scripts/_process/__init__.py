"""Processes, scratch folders, files and errors: what every other room of `scripts` uses."""
