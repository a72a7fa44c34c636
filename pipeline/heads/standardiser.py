"""Standardisation of stored features, fitted on the training rows and kept with the head."""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import ParamsError

KINDS = ("none", "scalar", "dimension")
ROWS_AT_ONCE = 1024


class Standardiser(nn.Module):
    """(x - mean) * inverse_deviation, row by row; a dimension without variance becomes 0.

    Attributes:
        mean: Shape (L, D).
        inverse_deviation: Shape (L, D); 0 where the training rows are all the same.
    """

    mean: Tensor
    inverse_deviation: Tensor

    def __init__(self, num_layers: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_layers, dim))
        self.register_buffer("inverse_deviation", torch.ones(num_layers, dim))

    def forward(self, layers: Tensor) -> Tensor:
        """Standardise features of any float type, shape (B, L, D); float32 comes back."""
        return (layers.float() - self.mean) * self.inverse_deviation

    def fit(self, features: np.ndarray, kind: str) -> None:
        """Take mean and deviation from the training rows.

        Args:
            features: Shape (N, L, D).
            kind: `"none"` leaves features as they are (the paper says nothing of it),
                `"dimension"` has one mean and deviation per layer and dimension, `"scalar"` one per
                layer.

        Raises:
            ParamsError: If the kind is unknown.
        """
        if kind not in KINDS:
            raise ParamsError(f"train.standardise: {kind!r} is not one of {list(KINDS)}.")
        if kind == "none":
            return
        axis = 0 if kind == "dimension" else (0, 2)
        low, high = features.min(axis), features.max(axis)
        mean = _chunked_mean(features, axis, None)
        variance = _chunked_mean(features, axis, mean)
        # Equal numbers have a rounding-error variance; only their range is exactly 0.
        scale = np.where(high > low, 1 / np.sqrt(np.maximum(variance, 1e-30)), 0.0)
        if kind == "scalar":
            mean, scale = mean[:, None], scale[:, None]
        self.mean.copy_(torch.from_numpy(np.broadcast_to(mean, self.mean.shape).copy()))
        self.inverse_deviation.copy_(
            torch.from_numpy(np.broadcast_to(scale, self.mean.shape).copy())
        )


def _chunked_mean(
    features: np.ndarray, axis: int | tuple[int, int], centre: np.ndarray | None
) -> np.ndarray:
    """Return the mean, or the mean squared deviation from `centre`, in float64."""
    total: np.ndarray = np.zeros(features.min(axis).shape)
    count = len(features) * (1 if axis == 0 else features.shape[2])
    for start in range(0, len(features), ROWS_AT_ONCE):
        part = features[start : start + ROWS_AT_ONCE].astype(np.float64)
        if centre is not None:
            shift = centre if axis == 0 else centre[:, None]
            part = np.square(part - shift)
        total += part.sum(axis)
    return total / count
