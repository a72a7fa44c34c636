"""What each layer alone knows of a task: a logistic regression on every layer of the features."""

import numpy as np
import pandas as pd
import torch

from pipeline.dataset import StoredFeatures
from pipeline.evaluation.metrics import unweighted_accuracy, weighted_accuracy
from pipeline.heads.batch import of_layers
from pipeline.heads.logreg import LogReg, LogRegConfig
from pipeline.heads.needs import feature_shape
from pipeline.heads.standardiser import Standardiser
from pipeline.progress import Reporter
from pipeline.store.views import LAYERS
from pipeline.training.rows import TrainingRows
from pipeline.training.targets import one_hot

STRENGTH = 1e-2  # of every layer alike: a probe is for comparing layers


def probe_layers(
    features: StoredFeatures, rows: TrainingRows, *, reporter: Reporter
) -> pd.DataFrame:
    """Fit a logistic regression on each layer of the training rows, and score it on dev.

    Returns:
        One row for each layer: layer, dev_ua, dev_wa, train_ua.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    chosen = {"train": rows.train, "dev": rows.dev}
    labels = {part: rows.labels[of_part] for part, of_part in chosen.items()}
    stored = {part: features.read(of_part) for part, of_part in chosen.items()}
    shape = feature_shape(features.recipes[LAYERS], stored["train"].shape[1:])
    standardiser = Standardiser(shape.num_layers, shape.dim)
    standardiser.fit([stored["train"]])
    layers = {part: standardiser(torch.from_numpy(values)) for part, values in stored.items()}
    targets = torch.from_numpy(one_hot(labels["train"], len(rows.classes)))
    batch = of_layers(layers["train"], targets=targets)
    reporter.begin(shape.num_layers)
    found = []
    for layer in range(shape.num_layers):
        config = LogRegConfig(input="layer", layer=layer, strength=STRENGTH)
        head = LogReg({LAYERS: shape}, len(rows.classes), config)
        head.fit(batch, np.zeros(len(rows.train)), seed=0)
        predicted = {
            part: head.scores(of_layers(values), None).argmax(1).numpy()
            for part, values in layers.items()
        }
        found.append(
            {
                "layer": layer,
                "dev_ua": unweighted_accuracy(labels["dev"], predicted["dev"]),
                "dev_wa": weighted_accuracy(labels["dev"], predicted["dev"]),
                "train_ua": unweighted_accuracy(labels["train"], predicted["train"]),
            }
        )
        reporter.advance(1)
    return pd.DataFrame(found)
