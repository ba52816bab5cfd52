"""The catalog: a static site of the datasets of a repository."""
