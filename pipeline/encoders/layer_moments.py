"""Running a frozen transformer: where and in which number type, and the moments of its layers."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.encoders.pooling import Moments, masked_moments
from pipeline.errors import EncoderError

Row = tuple[Tensor, Tensor]


def placed(model: Any, *, compute_dtype: str, device: str) -> Any:
    """Return the model in evaluation mode, on a device and in a number type.

    Raises:
        EncoderError: If the device does not compute in that type.
    """
    if compute_dtype == "float16" and not device.startswith("cuda"):
        raise EncoderError(
            f"extract.compute_dtype: 'float16' needs a GPU, the device is {device!r}; "
            "use 'bfloat16' or 'float32'."
        )
    # TF32 would round float32 products to 10 bits on one kind of GPU only.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return model.to(torch.device(device), getattr(torch, compute_dtype)).eval()


@contextmanager
def recorded(
    blocks: Iterable[nn.Module], whole: nn.Module, num_frames: Tensor
) -> Iterator[list[Row]]:
    """Collect the moments of rows 0 to L-1 while a model runs, never its frames.

    Args:
        blocks: The transformer blocks; their inputs are rows 0 to L-2.
        whole: The module that holds them; its `last_hidden_state` is row L-1.
        num_frames: Valid frames of each clip, shape (B,), on the model's device.

    Yields:
        The list that fills: mean and scatter, shape (B, D) each, of one row after the other.
    """
    rows: list[Row] = []

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden = args[0] if args else kwargs["hidden_states"]
        rows.append(masked_moments(hidden, num_frames))

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        rows.append(masked_moments(output.last_hidden_state, num_frames))

    handles = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks]
    handles.append(whole.register_forward_hook(after))
    try:
        yield rows
    finally:
        for handle in handles:
            handle.remove()


def moments_by_clip(rows: list[Row], num_frames: list[int]) -> list[Moments]:
    """Return what `recorded` collected as one `Moments` of shape (L, D) per clip, on the CPU."""
    means = torch.stack([mean for mean, _ in rows], dim=1).cpu()
    scatters = torch.stack([scatter for _, scatter in rows], dim=1).cpu()
    return [Moments(n, means[i], scatters[i]) for i, n in enumerate(num_frames)]
