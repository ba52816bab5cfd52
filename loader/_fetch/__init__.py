"""Find the datasets of a repository, and fetch or stream their artifacts."""
