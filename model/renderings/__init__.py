"""Training renderings: one modality per file, what it looks like to the network and back. docs/renderings.md."""
