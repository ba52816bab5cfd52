"""What can be said of datasets without their data: entries, states, versions, statistics and differences."""
