"""Commands that build, verify and transfer artifacts; `python -m scripts` lists them."""
