"""The library: from recordings to predictions, knowing nothing of click, DVC or YAML.

    manifests    which recordings there are, their labels, who is in which part
    corpora      the importers that make manifests
    audio        recordings to waveforms
    encoders     waveforms to layers, one clip like another
    extraction   the whole way from a manifest, or a foreign table, into a store
    store        features kept so that nothing finished is lost
    dataset      a manifest's rows joined with their stored features
    diffusion    Gen-SER's mathematics
    heads        the small networks on stored features, and how they are kept
    sources      clips as a head sees them, from memory or streamed
    training     from stored features to a trained head
    scoring      from a trained head to predictions
    evaluation   what came of it, and how sure that is
    experiments  many trainings from one store
    report       what a person looks at; figures draws its pictures
    publishing   heads to the hub and back; exporting makes ONNX files of them

Which may import which is written in setup.cfg, under importlinter.
"""
