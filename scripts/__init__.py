"""How artifacts are made, verified and moved; `python -m scripts` lists the commands."""
