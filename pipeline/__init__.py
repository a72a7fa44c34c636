"""The library: from recordings to predictions, knowing nothing of click, DVC or YAML.

    manifests, labels, splits, leaks, corpora    which recordings and classes, who is in which part
    audio, containers, encoders, encoding        recordings to per-layer features
    store, extraction, ingestion                 features kept so that nothing finished is lost
    taxonomy, schedule, sampler, heads           Gen-SER's mathematics, networks, and the baselines
    dataset, training_rows, targets, weighting   which stored features, what is learnt, how often
    batches, optimisation, training              to a trained head
    fitting, scoring, prediction                 the whole way from a manifest, or a file
    crossval, probing, sweeping                  many trainings from one store
    metrics, bootstrap, calibration, standings   what came of it, and how sure that is
    figures, reports, report_page                what a person looks at

Which may import which is written in setup.cfg, under importlinter.
"""
