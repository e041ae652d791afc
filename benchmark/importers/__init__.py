"""Importers: renders and datasets of others, with their truth, as rendered folders. docs/importers.md."""
