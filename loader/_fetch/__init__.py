"""Where datasets are recorded and kept, and how they get to this machine."""
