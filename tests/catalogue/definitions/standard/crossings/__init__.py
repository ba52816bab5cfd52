"""Crossings: objects with parts."""

from .crossings import Crossings
