"""TFDS."""
