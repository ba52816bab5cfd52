"""Fetching, checking, registering and storing source files."""
