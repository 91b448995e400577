"""Groups of rows by meaning: k-means over their vectors, and names for what it finds."""
