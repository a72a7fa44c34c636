"""What each layer alone knows of a task: a logistic regression on every row of the features."""

import numpy as np
import pandas as pd
import torch

from pipeline.dataset import StoredFeatures
from pipeline.diffusion.sampler import SamplerConfig
from pipeline.evaluation.metrics import unweighted_accuracy, weighted_accuracy
from pipeline.heads.base import Batch, feature_shape
from pipeline.heads.inference import score_features
from pipeline.heads.logreg import LogReg, LogRegConfig
from pipeline.heads.standardiser import Standardiser
from pipeline.progress import Reporter
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
    train, dev = features.read(rows.train), features.read(rows.dev)
    labels = {"train": rows.labels[rows.train], "dev": rows.labels[rows.dev]}
    shape = feature_shape(features.recipe, train.shape)
    standardiser = Standardiser(shape.num_layers, shape.dim)
    standardiser.fit(train)
    targets = torch.from_numpy(one_hot(labels["train"], len(rows.classes)))
    batch = Batch(layers=standardiser(torch.from_numpy(train)), targets=targets)
    reporter.begin(shape.num_layers)
    found = []
    for layer in range(shape.num_layers):
        config = LogRegConfig(input="layer", layer=layer, strength=STRENGTH)
        head = LogReg(shape, len(rows.classes), config)
        head.fit(batch, np.zeros(len(train)), seed=0)
        predicted = {
            part: score_features(
                head,
                standardiser,
                values,
                None,
                SamplerConfig(),
                device="cpu",
                precision="float32",
            ).argmax(1)
            for part, values in (("train", train), ("dev", dev))
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
