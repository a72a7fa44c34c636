"""The library: from recordings to predictions, knowing nothing of click, DVC or YAML.

    manifests, labels, splits, corpora    which recordings, which classes, who is in which part
    audio, encoders, encoding             recordings to per-layer features
    store, extraction, ingestion          features kept so that nothing finished is lost
    taxonomy, schedule, sampler, heads    Gen-SER's mathematics and networks
    dataset, optimisation, training       stored features to a trained head
    fitting, scoring, prediction          the whole way from a manifest, or a file
    metrics, calibration, predictions     what came of it
    figures, reports                      what a person looks at

Which may import which is written in setup.cfg, under importlinter.
"""
