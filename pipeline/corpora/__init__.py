"""Corpora: one module each, a folder in, manifest rows out; `preparation` is their table."""
