"""Examples as HTML and PNG: of features and NumPy values, never of a split."""
