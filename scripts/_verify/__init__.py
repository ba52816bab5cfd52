"""Verifying an artifact: checking it, rebuilding it in a sandbox, and comparing two artifacts."""
