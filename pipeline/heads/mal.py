"""The losses of EmoQ's first stage: supervised contrastive and focal (arXiv 2509.15775)."""

import torch
from torch import Tensor


def supervised_contrastive(z: Tensor, labels: Tensor, *, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of a batch (Khosla et al. 2020, Eq. 2, L_out).

    L = mean over i of -1/|P(i)| sum over p in P(i) of log(exp(z_i.z_p / tau) / sum over a != i of
    exp(z_i.z_a / tau)), P(i) the other clips of i's class, i the clips that have one. Where no clip
    has one it is 0, with slopes of 0.

    Args:
        z: Vectors of length 1, shape (B, W).
        labels: The class of each, shape (B,).
        temperature: tau, above 0.
    """
    with torch.autocast(z.device.type, enabled=False):
        z = _exact(z)
        similar = z @ z.T / temperature
        itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
        # Minus infinity would make a clip alone in its batch NaN.
        log_shares = similar.masked_fill(itself, torch.finfo(z.dtype).min).log_softmax(1)
        positive = (labels[:, None] == labels[None, :]) & ~itself
        num_positive = positive.sum(1)
        of_anchors = log_shares.masked_fill(~positive, 0).sum(1) / num_positive.clamp(min=1)
        return -of_anchors.sum() / (num_positive > 0).sum().clamp(min=1)


def focal(
    logits: Tensor,
    targets: Tensor,
    class_weights: Tensor,
    *,
    gamma: float,
    weights: Tensor | None = None,
) -> Tensor:
    """Return the focal loss of a batch (Lin et al. 2017, Eq. 5), for labels that may be shared.

    L = -mean over clips of sum over classes c of q_c w_c (1 - p_c)^gamma log p_c. With gamma 0 it
    is the weighted cross-entropy.

    Args:
        logits: Shape (B, C).
        targets: q, the share of each class in each label, rows sum to 1, shape (B, C).
        class_weights: w, shape (C,); see `class_weights_of`.
        gamma: At least 0.
        weights: How much each clip counts, shape (B,); None is 1 each.
    """
    log_p = _exact(logits).log_softmax(1)
    # 1 - p without rounding where p is near 1; at 0 its power has no slope.
    rest = (-log_p.expm1()).clamp(min=torch.finfo(log_p.dtype).tiny)
    of_clips = -(targets * class_weights * rest**gamma * log_p).sum(1)
    return of_clips.mean() if weights is None else (of_clips * weights).mean()


def class_weights_of(shares: Tensor) -> Tensor:
    """Return w_c = 1 / (C share_c), by which every class weighs alike, shape (C,).

    Args:
        shares: Of each class in training, sum 1, shape (C,); the weight of a share of 0 is 0.
    """
    weights = 1 / (len(shares) * shares)
    return torch.where(shares > 0, weights, torch.zeros_like(weights))


def _exact(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
