"""Filters: each adds score columns to the ledger. A new filter is one file here and one row in FILTERS."""
