"""Which precision `auto` means on this machine."""

from typing import Any

AUTO = "auto"
KEYS = ("precision", "compute_dtype", "base_dtype")  # of parameters, that may say it


def with_precisions(values: Any) -> Any:
    """Return what a section says, `auto` replaced by the fastest precision that is safe here.

    Heads, stores and results keep what it came to, never the word: on another machine the same
    parameters may mean another precision, and a store refuses that by the field's name.
    """
    if not isinstance(values, dict):
        return values
    return {
        key: fastest() if key in KEYS and value == AUTO else with_precisions(value)
        for key, value in values.items()
    }


def fastest() -> str:
    """Return bfloat16 where a GPU or this CPU has instructions for it, else float32."""
    import torch

    return "bfloat16" if torch.cuda.is_available() or has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 by instructions of its own."""
    import torch

    # A build without oneDNN cannot tell, and is not accused.
    known: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return not known or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
