"""Model: the unified diffusion transformer, its codecs, training and generation."""
