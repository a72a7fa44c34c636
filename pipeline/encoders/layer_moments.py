"""Running a frozen transformer: where and in which number type, and what is kept of its layers."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.encoders.base import Encoded
from pipeline.encoders.pooling import Moments, masked_moments
from pipeline.errors import EncoderError


@dataclass(kw_only=True)
class Recording:
    """What is kept of a batch while a model runs: one layer after the other, 0 to L-1.

    Attributes:
        num_frames: Valid frames of each clip, B of them.
        frames_of: The layers whose frames are kept.
        moments: Mean and scatter of each layer, shape (B, D) each, on the model's device.
        frames: For each clip the frames of each layer kept, shape (T, D), float32, on the CPU.
    """

    num_frames: Sequence[int]
    frames_of: Sequence[int] = ()
    moments: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    frames: list[list[Tensor]] = field(default_factory=list)

    def add(self, hidden: Tensor) -> None:
        """Take in the next layer, shape (B, T, D)."""
        if len(self.moments) in self.frames_of:
            # A copy even on the CPU: a view would hold the padding, and the next block may write.
            valid = [clip[:n] for clip, n in zip(hidden, self.num_frames, strict=True)]
            self.frames.append([part.to("cpu", torch.float32, copy=True) for part in valid])
        counts = torch.tensor(self.num_frames, device=hidden.device)
        self.moments.append(masked_moments(hidden, counts))

    def by_clip(self) -> list[Encoded]:
        """Return what was kept, clip by clip: moments (L, D) and frames (T, R, D)."""
        means = torch.stack([mean for mean, _ in self.moments], dim=1).cpu()
        scatters = torch.stack([scatter for _, scatter in self.moments], dim=1).cpu()
        return [
            Encoded(
                moments=Moments(n, means[i], scatters[i]),
                frames=torch.stack([layer[i] for layer in self.frames], dim=1)
                if self.frames
                else None,
            )
            for i, n in enumerate(self.num_frames)
        ]


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
    blocks: Iterable[nn.Module],
    whole: nn.Module,
    num_frames: Sequence[int],
    frames_of: Sequence[int] = (),
) -> Iterator[Recording]:
    """Collect the moments of layers 0 to L-1 while a model runs, and the frames of some.

    Args:
        blocks: The transformer blocks; their inputs are layers 0 to L-2.
        whole: The module that holds them; its `last_hidden_state` is layer L-1.
        num_frames: Valid frames of each clip.
        frames_of: The layers whose frames are kept, ascending.

    Yields:
        What fills while the model runs.
    """
    recording = Recording(num_frames=num_frames, frames_of=frames_of)
    with listening(blocks, whole, recording.add):
        yield recording


@contextmanager
def listening(
    blocks: Iterable[nn.Module], whole: nn.Module, take: Callable[[Tensor], None]
) -> Iterator[None]:
    """Hand over layers 0 to L-1, (B, T, D) each, one after the other while a model runs."""

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        take(args[0] if args else kwargs["hidden_states"])

    def after(_: nn.Module, __: tuple[Any, ...], output: Any) -> None:
        take(output.last_hidden_state)

    handles = [block.register_forward_pre_hook(before, with_kwargs=True) for block in blocks]
    handles.append(whole.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
