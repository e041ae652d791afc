"""Codecs: one modality's storage and colour form per file. docs/codecs.md has the table of all."""
