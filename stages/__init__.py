"""One module per command of `genser`; each reads parameters, calls `pipeline`, says what it did.

prepare -> extract -> train -> score -> report    the stages of dvc.yaml
validate, ingest, verify, predict, inspect        beside them
"""
