"""Metrics: pure functions of arrays, one file per modality. METRICS in openuni/table.py names them."""
