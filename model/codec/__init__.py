"""Video codecs: frames to the latents that the network sees, and back. CODECS in openuni/table.py names them.

Not openuni/codec, which stores the maps of a dataset.
"""
