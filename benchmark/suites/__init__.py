"""Suites: what models are asked, and how their answers are scored. One file each, and one row in SUITES."""
