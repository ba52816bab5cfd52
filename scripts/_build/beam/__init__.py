"""Builders that use Apache Beam: their pipeline on one of Beam's runners, with the same bytes on each."""
