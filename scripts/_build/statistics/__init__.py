"""Computing the statistics of a dataset's artifacts (`loader._registry.statistics` says what they are)."""
