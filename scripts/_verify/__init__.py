"""What `verify` is made of: building in a sandbox, and saying where two artifacts differ."""
