"""The codes that stand for classes, and how near a vector is to each of them.

A class is known here by its index b = 0 .. C - 1 alone; names and their order live elsewhere.
"""

import math

import torch
from torch import Tensor

from pipeline.errors import ParamsError, ShapeError


def sinusoidal_codes(num_classes: int, dim: int) -> Tensor:
    """Make one code per class: whole periods of a sine along the feature axis.

    Gen-SER, Eq. 2:
        x0(b)[l] = sin(2 pi l (b + 1) / D),  l = 0 .. D - 1

    Args:
        num_classes: C, from 1 to (D - 1) // 2.
        dim: D, the width of the features.

    Returns:
        Codes, shape (C, D), float32; orthogonal, each of norm sqrt(D / 2).

    Raises:
        ParamsError: If `dim` cannot hold that many orthogonal codes.
    """
    # Eq. 2 sets no limit, but b + 1 = D/2 gives a zero vector and larger b repeat earlier
    # codes with the sign turned, so that no cosine could tell the two classes apart.
    most = (dim - 1) // 2
    if not 1 <= num_classes <= most:
        raise ParamsError(
            f"class codes: found {num_classes!r} classes for {dim!r} feature dimensions, "
            f"wanted 1 to {most} classes; merge labels, or use features of at least "
            f"{2 * num_classes + 1} dimensions."
        )
    periods = torch.arange(1, num_classes + 1)[:, None]
    # Reduced to one turn as integers: the sine of a large angle would lose the orthogonality.
    turns = (torch.arange(dim) * periods) % dim  # (C, D)
    return torch.sin(turns.to(torch.float64) * (2 * math.pi / dim)).to(torch.float32)


def similarities(x: Tensor, codes: Tensor) -> Tensor:
    """Compare each vector with each code by cosine.

    Gen-SER predicts the class whose code has the largest cosine to the final estimate.

    Args:
        x: Vectors, shape (B, D).
        codes: One code per class, shape (C, D).

    Returns:
        Cosines in [-1, 1], shape (B, C), float32 or wider; 0 where either vector is zero, NaN
        where one holds NaN or infinity.

    Raises:
        ShapeError: If the two do not agree in D.
    """
    if x.ndim != 2 or codes.ndim != 2 or x.shape[1] != codes.shape[1]:
        raise ShapeError(
            f"similarities: found vectors {tuple(x.shape)} and codes {tuple(codes.shape)}, "
            "wanted (B, D) and (C, D); give both the same feature width."
        )
    wide = torch.promote_types(torch.promote_types(x.dtype, codes.dtype), torch.float32)
    # Half precision would make classes tie, so the caller's autocast must not reach in here.
    with torch.autocast(x.device.type, enabled=False):
        cosines: Tensor = _unit(x.to(wide)) @ _unit(codes.to(wide)).T
    return cosines.clamp(-1, 1)


def _unit(x: Tensor) -> Tensor:
    """Scale rows to length 1 and leave zero rows zero."""
    # Dividing by the largest entry first keeps the squares in range, whatever the scale.
    peak = x.abs().amax(dim=1, keepdim=True)
    x = x / peak.masked_fill(peak == 0, 1)
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    unit: Tensor = x / length.masked_fill(length == 0, 1)
    return unit
