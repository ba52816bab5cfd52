"""The features of an example, and how their values are decoded."""
