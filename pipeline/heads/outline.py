"""Networks without numbers, on torch's meta device: what a head would be is counted there."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_DRAWS = frozenset(
    {Tensor.uniform_, Tensor.normal_, Tensor.bernoulli_, Tensor.exponential_, Tensor.random_}
)


class _DrawsNothing(TorchFunctionMode):
    """Leaves tensors as they are where they would be drawn.

    On the meta device there is nothing to draw, and torch imports its compiler and sympy to find
    that out: longer than everything else that scoring a small manifest takes.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _DRAWS or getattr(func, "__module__", None) == "torch.nn.init":
            return named["tensor"] if "tensor" in named else args[0]
        return func(*args, **named)


@contextmanager
def outlined() -> Iterator[None]:
    """Give networks that are made within a block no numbers, only shapes."""
    with torch.device("meta"), _DrawsNothing():
        yield
