"""Folders of predictions: how any system is scored that runs elsewhere. docs/bench.md has the layout."""
