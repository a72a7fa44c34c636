"""The threads that decode."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def decoders(workers: int | None) -> Iterator[ThreadPoolExecutor]:
    """Give threads for the length of a block; who is stopped in it does not wait for them.

    Args:
        workers: How many, at least one; None for as many as the machine suggests.
    """
    executor = ThreadPoolExecutor(workers and max(workers, 1), thread_name_prefix="decode")
    is_over = False
    try:
        yield executor
        is_over = True
    finally:
        # What is stopped leaves at once: a clip may take minutes, and a decoder in C hears nothing.
        executor.shutdown(wait=is_over, cancel_futures=not is_over)
