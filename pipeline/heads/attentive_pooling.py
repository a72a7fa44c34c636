"""Attentive statistics pooling: frames of a clip become one vector, the telling ones most."""

import torch
from torch import Tensor, nn

LEAST_VARIANCE = 1e-6  # of a clip of one frame it is 0, where the root has no slope


class AttentivePooling(nn.Module):
    """Mean and deviation of frames under weights that are learned (Okabe et al. 2018, Eqs. 3-6).

    w_t = softmax_t(v . tanh(U h_t + b));  mean = sum_t w_t h_t;  deviation^2 = sum_t w_t
    (h_t - mean)^2, all over the frames of the clip alone.

    Attributes:
        out_width: Of what comes back, 2 W.
    """

    def __init__(self, width: int, hidden: int) -> None:
        """Pool frames of this width; `hidden` is the width of U h_t."""
        super().__init__()
        self.out_width = 2 * width
        self.score = additive_score(width, hidden)

    def weights(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return how much each frame counts, float32, shape (B, T); 0 in padding, else sums of 1.

        Args:
            frames: Shape (B, T, W).
            mask: Which frames are a clip's own, bool, shape (B, T).
        """
        scores = self.score(frames)[..., 0].float()
        least = torch.finfo(scores.dtype).min
        # A clip without any frame would divide 0 by 0 under minus infinity; so it has weights of 0.
        weights: Tensor = scores.masked_fill(~mask, least).softmax(1) * mask
        return weights

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Return mean and deviation side by side, float32, shape (B, 2 W); see `weights`."""
        weights, frames = self.weights(frames, mask), frames.float()
        with torch.autocast(frames.device.type, enabled=False):
            mean = torch.einsum("bt,btw->bw", weights, frames)
            # Not the mean square less the squared mean: of clips that hardly vary that is noise.
            squares = (frames - mean[:, None]).square()
            variance = torch.einsum("bt,btw->bw", weights, squares)
        return torch.cat([mean, variance.clamp(min=LEAST_VARIANCE).sqrt()], dim=1)


def additive_score(width: int, hidden: int) -> nn.Sequential:
    """Return v . tanh(U x + b) of vectors (..., W), shape (..., 1) (Bahdanau et al. 2015)."""
    return nn.Sequential(nn.Linear(width, hidden), nn.Tanh(), nn.Linear(hidden, 1, bias=False))
