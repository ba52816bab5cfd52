"""What differs between two revisions of a dataset: computed without the data, and as text or HTML."""
