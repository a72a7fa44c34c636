"""The codebooks of a view of codes: K centroids for each of its layers.

A code is the number of the centroid nearest to a frame. Frames are standardised first, layer by
layer and dimension by dimension: a dimension 30 times as large as the others would decide alone.
"""

from dataclasses import dataclass, fields

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from pipeline.errors import FeatureStoreError
from pipeline.quantisation.kmeans import nearest

HISTOGRAM, MEANS = "histogram", "means"
POOLED_AS = (MEANS, HISTOGRAM)
LARGEST = 1 << 16  # codes are stored as uint16


@dataclass(frozen=True, kw_only=True)
class Codebooks:
    """One codebook of K centroids for each of R layers.

    Attributes:
        centroids: Of standardised frames, float32, shape (R, K, D).
        mean: Taken off a frame before it is coded, float32, shape (R, D).
        scale: What it is multiplied by then, float32, shape (R, D).
        inertia: Mean squared distance of a frame to its centroid after each iteration of the fit,
            float32, shape (R, I); I is 0 where nothing was fitted (a codec's).
    """

    centroids: Tensor
    mean: Tensor
    scale: Tensor
    inertia: Tensor

    @classmethod
    def of_codec(cls, centroids: Tensor) -> "Codebooks":
        """Return the codebooks of a codec, shape (Q, K, D), whose frames are not standardised."""
        num_layers, _, dim = centroids.shape
        return cls(
            centroids=centroids.float().contiguous(),
            mean=torch.zeros(num_layers, dim),
            scale=torch.ones(num_layers, dim),
            inertia=torch.zeros(num_layers, 0),
        )

    @property
    def num_codes(self) -> int:
        """K."""
        return self.centroids.shape[1]

    @property
    def dim(self) -> int:
        """D."""
        return self.centroids.shape[2]

    def of_layers(self, positions: tuple[int, ...] | None) -> "Codebooks":
        """Return those of some layers, in this order; None returns all."""
        if positions is None:
            return self
        chosen = list(positions)
        return Codebooks(
            centroids=self.centroids[chosen],
            mean=self.mean[chosen],
            scale=self.scale[chosen],
            inertia=self.inertia[chosen],
        )

    def assign(self, frames: np.ndarray) -> np.ndarray:
        """Return the codes of frames (T, R, D) of any float type, uint16, shape (T, R)."""
        codes = np.empty(frames.shape[:2], np.uint16)
        for layer in range(frames.shape[1]):
            own = torch.from_numpy(np.ascontiguousarray(frames[:, layer])).float()
            places, _ = nearest((own - self.mean[layer]) * self.scale[layer], self.centroids[layer])
            codes[:, layer] = places.numpy().astype(np.uint16)
        return codes

    def look_up(self, codes: Tensor) -> Tensor:
        """Return the centroids of codes (..., R), int64, shape (..., R, D)."""
        return self.centroids[torch.arange(len(self.centroids)), codes]

    def pooled(self, codes: np.ndarray, how: str) -> np.ndarray:
        """Return one vector for each layer of a clip.

        Args:
            codes: Of its frames, shape (T, R).
            how: `"histogram"`, the share of each code, or `"means"`, the mean centroid.

        Returns:
            float32, shape (R, K) or (R, D).
        """
        shares = np.stack([np.bincount(c, minlength=self.num_codes) for c in codes.T])
        shares = (shares / len(codes)).astype(np.float32)
        if how == HISTOGRAM:
            return shares
        return torch.einsum("rk,rkd->rd", torch.from_numpy(shares), self.centroids).numpy()

    def to_bytes(self) -> bytes:
        """Return the content of `fitted.safetensors`; equal codebooks give equal bytes."""
        return save({f.name: getattr(self, f.name).float().contiguous() for f in fields(self)})

    @classmethod
    def from_bytes(cls, data: bytes, where: object) -> "Codebooks":
        """Read what `to_bytes` wrote.

        Raises:
            FeatureStoreError: If it holds something else.
        """
        try:
            tensors = load(data)
            found = cls(**{f.name: tensors[f.name] for f in fields(cls)})
            fits = found.centroids.shape[::2] == found.mean.shape == found.scale.shape
        except (SafetensorError, KeyError, ValueError) as error:
            raise FeatureStoreError(
                f"{where}: found no codebooks ({error}), wanted those of a view of codes; make "
                "the view again."
            ) from error
        if not fits or found.num_codes > LARGEST:
            raise FeatureStoreError(
                f"{where}: found centroids {tuple(found.centroids.shape)} with means "
                f"{tuple(found.mean.shape)}, wanted (R, K, D) with (R, D); make the view again."
            )
        return found
