"""Building an artifact: running the TFDS builder, packing its output, writing the manifest."""
