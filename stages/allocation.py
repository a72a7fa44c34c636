"""Memory that is freed is kept for what comes next, where C's library is glibc.

Tensors of a step are as large as those of the step before. glibc gives each back to the system and
asks for it anew, page by page: a third of a training's time on a CPU, and more of scoring's.
"""

import ctypes
import os

# By the name that a started process reads, and the number that this one is told it by: from how
# many bytes on an array is mapped for itself (the most there can be), how many are kept at the end
# of the heap, and by how many it grows.
SETTINGS = {
    "MALLOC_MMAP_THRESHOLD_": (-3, 1 << 25),
    "MALLOC_TRIM_THRESHOLD_": (-1, 1 << 30),
    "MALLOC_TOP_PAD_": (-2, 1 << 26),
}


def keep_freed_memory() -> None:
    """Tell this process and those that it starts; what somebody has set stays."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    for name, (number, value) in SETTINGS.items():
        if mallopt is not None and name not in os.environ:
            mallopt(number, value)
            os.environ[name] = str(value)
