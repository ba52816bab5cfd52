"""How an artifact is built: the TFDS builder, running it, packing what it wrote, the manifest."""
