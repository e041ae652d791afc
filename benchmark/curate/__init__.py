"""Curate: clips of a build frozen as a benchmark. choose picks, expressions name what is seen, frozen_set has files."""
