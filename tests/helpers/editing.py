"""Edits of files, as a person makes them."""


def edit(path, old, new):
    """Replace a text that a file must have."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
