"""What each layer alone knows of a task: a logistic regression on every layer of the features.

Of labels that are numbers it is a ridge regression on the ends of their scale.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from pipeline.dataset import StoredFeatures
from pipeline.engines.base import SERIAL, Engine
from pipeline.evaluation.concordance import CCC, PEARSON, RMSE
from pipeline.heads.batch import of_layers
from pipeline.heads.logreg import LogReg, LogRegConfig
from pipeline.heads.needs import feature_shape
from pipeline.heads.standardiser import Standardiser
from pipeline.progress import Reporter
from pipeline.store.views import LAYERS
from pipeline.training.batches import measure_scores
from pipeline.training.rows import TrainingRows
from pipeline.training.targets import one_hot

STRENGTH = 1e-2  # of every layer alike: a probe is for comparing layers


def probe_layers(
    features: StoredFeatures, rows: TrainingRows, *, reporter: Reporter, engine: Engine = SERIAL
) -> pd.DataFrame:
    """Fit a regression on each layer of the training rows, and score it on dev.

    Returns:
        One row for each layer: layer, dev_ua, dev_wa, train_ua; of numbers layer, dev_ccc,
        dev_pearson, dev_rmse, train_ccc, predictions stretched to the labels of their part.

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
        known = self.rows.numbers
        numbers = {part: known and known.of(of_part) for part, of_part in chosen.items()}
        stored = {part: self.features.read(of_part) for part, of_part in chosen.items()}
        shape = feature_shape(self.features.recipes[LAYERS], stored["train"].shape[1:])
        standardiser = Standardiser(shape.num_layers, shape.dim)
        standardiser.fit([stored["train"]])
        layers = {part: standardiser(torch.from_numpy(values)) for part, values in stored.items()}
        num_classes = len(self.rows.classes)
        shares = one_hot(labels["train"], num_classes)
        if numbers["train"] is not None:
            shares = numbers["train"].shares
        batch = of_layers(layers["train"], targets=torch.from_numpy(shares))

        def probed(layer: int) -> dict[str, float]:
            config = LogRegConfig(input="layer", layer=layer, strength=STRENGTH)
            head = LogReg({LAYERS: shape}, num_classes, config)
            if known is not None:
                head.learn_numbers("logreg")
            head.fit(batch, np.zeros(len(self.rows.train)), seed=0)
            dev, train = (
                measure_scores(
                    head.scores(of_layers(layers[part]), None).numpy(), labels[part], numbers[part]
                )
                for part in ("dev", "train")
            )
            first, *others = ("ua", "wa") if known is None else (CCC, PEARSON, RMSE)
            told = {f"dev_{name}": dev[name] for name in (first, *others)}
            return {**told, f"train_{first}": train[first]}

        return probed
