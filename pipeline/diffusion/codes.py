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
    _require_room(num_classes, dim, most=(dim - 1) // 2, least=2 * num_classes + 1)
    if _is_outline():
        return torch.empty(num_classes, dim)
    periods = torch.arange(1, num_classes + 1)[:, None]
    # Reduced to one turn as integers: the sine of a large angle would lose the orthogonality.
    turns = (torch.arange(dim) * periods) % dim  # (C, D)
    return torch.sin(turns.to(torch.float64) * (2 * math.pi / dim)).to(torch.float32)


def one_hot_codes(num_classes: int, dim: int) -> Tensor:
    """Make one code per class that is zero but in one dimension: the plainest orthogonal codes.

    Args:
        num_classes: C, from 1 to D.
        dim: D, the width of the features.

    Returns:
        Codes, shape (C, D), float32; orthogonal, of the sinusoidal codes' norm sqrt(D / 2).

    Raises:
        ParamsError: If there are more classes than dimensions.
    """
    _require_room(num_classes, dim, most=dim, least=num_classes)
    if _is_outline():
        return torch.empty(num_classes, dim)
    return math.sqrt(dim / 2) * torch.eye(num_classes, dim)


def hadamard_codes(num_classes: int, dim: int) -> Tensor:
    """Make one code per class of equal steps up and down (Sylvester 1867).

    Rows 1 to C of the Hadamard matrix of the largest power of two n <= D, zeros after n.

    Args:
        num_classes: C, from 1 to n - 1; row 0, which is constant, is left out.
        dim: D, the width of the features.

    Returns:
        Codes, shape (C, D), float32; orthogonal, of the sinusoidal codes' norm sqrt(D / 2).

    Raises:
        ParamsError: If there are more classes than rows.
    """
    side = 1 << (dim.bit_length() - 1)
    least = 1 << num_classes.bit_length()
    _require_room(num_classes, dim, most=side - 1, least=least)
    if _is_outline():
        return torch.empty(num_classes, dim)
    from scipy.linalg import hadamard

    rows = torch.from_numpy(hadamard(side)[1 : num_classes + 1]).to(torch.float32)
    padded = torch.zeros(num_classes, dim)
    padded[:, :side] = rows
    return math.sqrt(dim / 2 / side) * padded


CODES = {"sinusoidal": sinusoidal_codes, "one_hot": one_hot_codes, "hadamard": hadamard_codes}
"""The codes by the names used in parameters."""


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


def projections(x: Tensor, codes: Tensor) -> Tensor:
    """Return the part of each vector along each code, in units of the code.

        a_c = <x, code_c> / ||code_c||^2

    The minimiser of Gen-SER's squared error, Eq. 8, is the mean code, sum over c of P(c) code_c.
    Codes are orthogonal, so a_c of it is P(c).

    Args:
        x: Vectors, shape (B, D).
        codes: One code per class, none zero, shape (C, D).

    Returns:
        Projections, shape (B, C), float32 or wider.
    """
    wide = torch.promote_types(torch.promote_types(x.dtype, codes.dtype), torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        codes = codes.to(wide)
        along: Tensor = x.to(wide) @ codes.T / codes.square().sum(1)
    return along


def _unit(x: Tensor) -> Tensor:
    """Scale rows to length 1 and leave zero rows zero."""
    # Dividing by the largest entry first keeps the squares in range, whatever the scale.
    peak = x.abs().amax(dim=1, keepdim=True)
    x = x / peak.masked_fill(peak == 0, 1)
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    unit: Tensor = x / length.masked_fill(length == 0, 1)
    return unit


def _is_outline() -> bool:
    """Whether only shapes are wanted; arithmetic on the meta device imports torch's compiler."""
    return torch.get_default_device().type == "meta"


def _require_room(num_classes: int, dim: int, *, most: int, least: int) -> None:
    if not 1 <= num_classes <= most:
        raise ParamsError(
            f"class codes: found {num_classes!r} classes for {dim!r} feature dimensions, "
            f"wanted 1 to {most} classes; merge labels, or use features of at least {least} "
            "dimensions."
        )
