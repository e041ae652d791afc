"""Annotators: one modality's expert(s) per file, frames in, a map out."""
