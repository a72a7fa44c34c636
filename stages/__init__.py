"""One module per command of `genser`; each reads parameters, calls `pipeline`, says what it did.

prepare -> extract -> train -> score -> report    the stages of dvc.yaml
merge, split, audit, validate                      manifests
ingest, verify, predict, inspect                   features, heads and loose files
publish, export                                    heads for others
crossval, probe, sweep                             many trainings from one store
"""
