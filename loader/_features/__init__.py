"""What an example is made of, and how its values are decoded."""
