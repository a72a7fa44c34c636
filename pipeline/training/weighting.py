"""How often each training row is drawn and how much it counts: rare classes, several corpora."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.errors import ParamsError

BALANCES = ("none", "sampler", "loss")


@dataclass(frozen=True, kw_only=True)
class Weighting:
    """What a training makes of its rows.

    Attributes:
        draw: Chance of each row to be drawn, sum 1, shape (N,).
        weight: How much a drawn row counts in the loss, mean 1 over draws, shape (N,).
        prior: Share of each class in what the loss sees, sum 1, shape (C,).
    """

    draw: np.ndarray
    weight: np.ndarray
    prior: np.ndarray

    @property
    def is_even(self) -> bool:
        """Whether every row is drawn equally often."""
        return bool(np.ptp(self.draw) <= 1e-12 * self.draw.max())


def weigh_rows(
    targets: np.ndarray,
    corpora: Sequence[str] | np.ndarray,
    *,
    balance: str,
    corpus_temperature: float,
) -> Weighting:
    """Weigh training rows by class and corpus.

    A corpus of n rows is drawn from with a share that goes as n^tau. Within it, every row is as
    likely (`"none"`, `"loss"`), or every class that occurs in it (`"sampler"`). `"loss"` counts a
    row by the inverse of its class's share of the draws, so that all classes count alike.

    Args:
        targets: Share of each class in each row's label, rows sum to 1, shape (N, C).
        corpora: The corpus of each row, shape (N,).
        balance: One of `BALANCES`.
        corpus_temperature: tau; 1 takes corpora as they are, 0 all alike.

    Raises:
        ParamsError: If the balance is unknown, or the temperature is below 0.
    """
    if balance not in BALANCES:
        raise ParamsError(f"train.balance: {balance!r} is not one of {list(BALANCES)}.")
    if corpus_temperature < 0:
        raise ParamsError(f"train.corpus_temperature: {corpus_temperature} is below 0.")
    targets = targets.astype(np.float64)
    names, places = np.unique(np.asarray(corpora, dtype="U"), return_inverse=True)
    sizes = np.bincount(places, minlength=len(names))
    shares = sizes**corpus_temperature / (sizes**corpus_temperature).sum()
    draw = np.empty(len(targets))
    for place, size in enumerate(sizes):
        mine = places == place
        if balance == "sampler":
            mass = targets[mine].sum(0)
            inverse = np.divide(1.0, mass, out=np.zeros_like(mass), where=mass > 0)
            draw[mine] = shares[place] * (targets[mine] @ inverse) / (mass > 0).sum()
        else:
            draw[mine] = shares[place] / size
    drawn = draw @ targets
    weight = np.ones(len(targets))
    if balance == "loss":
        inverse = np.divide(1.0, drawn, out=np.zeros_like(drawn), where=drawn > 0)
        weight = targets @ inverse / (drawn > 0).sum()
    return Weighting(draw=draw, weight=weight, prior=(draw * weight) @ targets)
