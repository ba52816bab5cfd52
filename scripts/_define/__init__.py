"""What makes a dataset one of this repository: its stage, its parameters, its row of the README, its folder."""
