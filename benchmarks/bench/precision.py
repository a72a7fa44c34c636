"""Which precisions this CPU computes by instructions of its own."""

import torch

from stages.precisions import has_bfloat16

PRECISIONS = ("float32", "bfloat16") if has_bfloat16() else ("float32",)
FASTEST = PRECISIONS[-1]
DTYPE: torch.dtype = getattr(torch, FASTEST)
