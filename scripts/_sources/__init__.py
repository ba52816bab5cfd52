"""Source files: fetched, proved, registered and kept."""
