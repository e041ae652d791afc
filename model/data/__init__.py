"""Training data: which clip stands where, reading it, and making it the shape that a batch needs."""
