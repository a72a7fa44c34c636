"""The feature store: `reader` to read one, `turns`, `planning` and `writer` to add to one.

The format is described in data_manifests/STORE.md.
"""
