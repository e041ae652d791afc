"""Pipelines: the dataset build, from a source's clips to indexed shards."""
