"""Benchmark: scenes with exact truth, metrics, and the scoring of models and annotators."""
