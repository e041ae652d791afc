"""Networks that only VBench's dimensions need, under their original tensor names. Written from their papers."""
