"""Scenes with exact truth that we make ourselves: what annotators and the bench are measured on."""
