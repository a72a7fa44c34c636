"""Logistic regression by scikit-learn: the bar that a trained head has to reach.

Fitted at once, without steps. C is chosen by the unweighted accuracy over folds within the training
rows that share no speaker, so dev has no part in it. Where labels are numbers it is a ridge
regression, whose penalty is chosen in the same way (`pipeline.heads.ridge`).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import HeadError, ParamsError
from pipeline.evaluation.links import SHARES
from pipeline.evaluation.metrics import unweighted_accuracy
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch
from pipeline.heads.classifier import input_layers, require_input, reweighted_logits
from pipeline.heads.needs import LayersInput, Shapes, width_beside
from pipeline.heads.phase import Phase
from pipeline.heads.ridge import fit_ridge
from pipeline.store.views import LAYERS

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

STRENGTHS = tuple(10.0**power for power in range(-5, 2))  # the grid of C
INNER_FOLDS = 3
PATIENCE = 2  # strengths without a better one
MAX_ITERATIONS = 1000


@dataclass(frozen=True, kw_only=True)
class LogRegConfig(LayersInput):
    """Which layers it sees, and how strongly it is held back."""

    input: str = "all"  # all layers side by side, the last one, or one layer
    layer: int = 0  # which, where input is layer
    # scikit-learn's C, of ridge 1 / alpha; 0 chooses it among powers of ten by inner folds
    strength: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_input("train.logreg", self.input)
        if self.input == "sum":
            raise ParamsError("train.logreg.input: 'sum' has weights to learn; take 'all'.")
        if self.strength < 0:
            raise ParamsError(f"train.logreg.strength: {self.strength} is below 0.")


class LogReg(Head):
    """Multinomial logistic regression with an L2 penalty.

    Attributes:
        weight: Shape (C, P), of P = chosen layers times D features, and those beside.
        bias: Shape (C,).
        strength: The C that was taken, shape ().
    """

    fits_at_once = True
    takes_numbers = True
    weight: Tensor
    bias: Tensor
    strength: Tensor

    def __init__(self, shapes: Shapes, num_classes: int, config: LogRegConfig) -> None:
        super().__init__()
        shape = shapes[LAYERS]
        self.config = config
        self.layers = input_layers(shape, config.input, config.layer, "train.logreg")
        width = len(self.layers) * shape.dim + width_beside(shapes)
        self.register_buffer("weight", torch.zeros(num_classes, width))
        self.register_buffer("bias", torch.zeros(num_classes))
        self.register_buffer("strength", torch.tensor(config.strength, dtype=torch.float64))

    def fit(self, batch: Batch, groups: np.ndarray, *, seed: int) -> None:
        """Take weights and bias from standardised training rows.

        A row whose label is of several classes counts in each of them by its share.

        Args:
            batch: All training rows, with their targets.
            groups: The speaker of each row, shape (N,).
            seed: Of the inner folds.
        """
        assert batch.targets is not None
        x = self._features(batch).cpu().double().numpy()
        shares = batch.targets.cpu().double().numpy()
        counts = np.ones(len(x)) if batch.weights is None else batch.weights.cpu().double().numpy()
        # The penalised weights lie in the span of the rows. In the rows' own coordinates there
        # are at most N features instead of P, and the solution is the same.
        centre = x.mean(0)
        left, singular, axes = np.linalg.svd(x - centre, full_matrices=False)
        kept = singular > 1e-10 * max(float(singular.max(initial=0.0)), 1e-300)
        coordinates, axes = (left * singular)[:, kept], axes[kept]
        if not kept.any():
            raise HeadError(
                "train.logreg: found the same features in every training row, wanted some that "
                "differ; 'genser inspect' says what the store holds."
            )
        strength = self.config.strength
        if self.link == SHARES:
            present = [0, 1]
            coefficients, intercepts, strength = fit_ridge(
                coordinates, shares, counts, groups, strength
            )
        else:
            shares = shares * counts[:, None]
            strength = strength or _choose_strength(coordinates, shares, groups, seed)
            model = _fitted(coordinates, shares, strength)
            present = model.classes_.tolist()
            coefficients, intercepts = _all_classes(model)
        weight = coefficients @ axes
        self.weight[present] = torch.from_numpy(weight).to(self.weight)
        self.bias[present] = torch.from_numpy(intercepts - weight @ centre).to(self.bias)
        self.strength.fill_(strength)

    def _features(self, batch: Batch) -> Tensor:
        return batch.with_beside(batch.layers[:, self.layers].flatten(1))

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Not used: `fit` does it all."""
        raise NotImplementedError

    def scores(self, batch: Batch, options: None) -> Tensor:
        """Return the logits."""
        del options
        return self._features(batch) @ self.weight.T + self.bias

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Add the factors' logarithms to the logits, by Bayes' rule."""
        return reweighted_logits(scores, factors, temperature)


def _fitted(x: np.ndarray, shares: np.ndarray, strength: float) -> "LogisticRegression":
    """Fit rows (N, P) that count by `shares` (N, C) in each class."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=strength, max_iter=MAX_ITERATIONS)
    rows, y = np.nonzero(shares)
    with warnings.catch_warnings():
        # Weak penalties on separable rows go on for ever; they lose on the inner folds anyway.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x[rows], y, sample_weight=shares[rows, y])
    return model


def _all_classes(model: "LogisticRegression") -> tuple[np.ndarray, np.ndarray]:
    """Return coefficients and intercepts of each class; for two classes there is one row."""
    if len(model.classes_) > 2:
        return model.coef_, model.intercept_
    signs = np.array([[-0.5], [0.5]])
    return signs * model.coef_, signs[:, 0] * model.intercept_


def _choose_strength(x: np.ndarray, shares: np.ndarray, groups: np.ndarray, seed: int) -> float:
    """Return the C with the best mean UA over inner folds; the smaller of equals.

    The grid is left when two strengths in a row are no better than the best: weaker penalties only
    fit the rows, and take the longest.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    y = shares.argmax(1)
    num_folds = min(INNER_FOLDS, len(np.unique(groups)), int(np.bincount(y).max()))
    if num_folds < 2:
        return 1e-2
    splitter = StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds = [
            (train, test)
            for train, test in splitter.split(x, y, groups)
            if len(np.unique(y[train])) > 1 and len(test)
        ]
    best, value, since = STRENGTHS[0], -1.0, 0
    for strength in STRENGTHS:
        found = [
            unweighted_accuracy(
                y[test], _fitted(x[train], shares[train], strength).predict(x[test])
            )
            for train, test in folds
        ]
        if np.mean(found) > value:
            best, value, since = strength, float(np.mean(found)), 0
        else:
            since += 1
        if since == PATIENCE:
            break
    return best
