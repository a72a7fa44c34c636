"""What each layer alone knows of a task: a logistic regression on every layer of the features."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from pipeline.dataset import StoredFeatures
from pipeline.engines.base import SERIAL, Engine
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
    features: StoredFeatures, rows: TrainingRows, *, reporter: Reporter, engine: Engine = SERIAL
) -> pd.DataFrame:
    """Fit a logistic regression on each layer of the training rows, and score it on dev.

    Returns:
        One row for each layer: layer, dev_ua, dev_wa, train_ua.

    Raises:
        FeatureStoreError: If a store is damaged.
    """
    num_layers = features.shape(LAYERS)[0]
    reporter.begin(num_layers)
    found = {}
    for layer, scores in engine.map(_Layers(features, rows), range(num_layers)):
        found[layer] = scores
        reporter.advance(1)
    return pd.DataFrame([{"layer": layer, **found[layer]} for layer in sorted(found)])


@dataclass(frozen=True)
class _Layers:
    """Reads the layers in a worker, once, and probes those that it is asked for."""

    features: StoredFeatures
    rows: TrainingRows

    def __call__(self) -> Callable[[int], dict[str, float]]:
        chosen = {"train": self.rows.train, "dev": self.rows.dev}
        labels = {part: self.rows.labels[of_part] for part, of_part in chosen.items()}
        stored = {part: self.features.read(of_part) for part, of_part in chosen.items()}
        shape = feature_shape(self.features.recipes[LAYERS], stored["train"].shape[1:])
        standardiser = Standardiser(shape.num_layers, shape.dim)
        standardiser.fit([stored["train"]])
        layers = {part: standardiser(torch.from_numpy(values)) for part, values in stored.items()}
        num_classes = len(self.rows.classes)
        targets = torch.from_numpy(one_hot(labels["train"], num_classes))
        batch = of_layers(layers["train"], targets=targets)

        def probed(layer: int) -> dict[str, float]:
            config = LogRegConfig(input="layer", layer=layer, strength=STRENGTH)
            head = LogReg({LAYERS: shape}, num_classes, config)
            head.fit(batch, np.zeros(len(self.rows.train)), seed=0)
            predicted = {
                part: head.scores(of_layers(values), None).argmax(1).numpy()
                for part, values in layers.items()
            }
            return {
                "dev_ua": unweighted_accuracy(labels["dev"], predicted["dev"]),
                "dev_wa": weighted_accuracy(labels["dev"], predicted["dev"]),
                "train_ua": unweighted_accuracy(labels["train"], predicted["train"]),
            }

        return probed
