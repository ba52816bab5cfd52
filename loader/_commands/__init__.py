"""The command line of the loader: one Typer command a module."""
