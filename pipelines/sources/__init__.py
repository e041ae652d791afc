"""Sources: each yields the clips of one collection. A new source is one file here and one row in SOURCES."""
