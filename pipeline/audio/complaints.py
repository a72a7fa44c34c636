"""What a decoder says on standard error, kept with the recording that it says it of.

libmpg123 within libsndfile writes to C's `stderr` and has no switch (libsndfile issue 958). Turning
away file descriptor 2 would take along what everybody else says meanwhile. C's variable `stderr`
is pointed to a stream of our own instead, once: its writer runs in the thread that speaks. While
that thread decodes, its words are the recording's; all others pass on to file descriptor 2, which
Python itself writes to. Only glibc can do that; elsewhere decoders are heard as ever.
"""

import atexit
import ctypes
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

from pipeline.errors import AudioError

MOST_BYTES = 1 << 14  # a long recording may be wrong in each of its frames
SHOWN = 3  # different lines
_SOURCE = re.compile(r"^\[src/libmpg123/[^\]]*\] ")  # a line of the decoder's own source
_UNBUFFERED = 2  # _IONBF
_UNLOCKED = 2  # FSETLOCKING_BYCALLER

_Write = ctypes.CFUNCTYPE(
    ctypes.c_ssize_t, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t
)
_heard = threading.local()  # .by: who hears this thread, if anybody
_installing = threading.Lock()


class _Functions(ctypes.Structure):
    """glibc's cookie_io_functions_t."""

    _fields_ = (
        ("read", ctypes.c_void_p),
        ("write", _Write),
        ("seek", ctypes.c_void_p),
        ("close", ctypes.c_void_p),
    )


class Complaints:
    """What the decoder of one recording has said, in the order in which it was said."""

    def __init__(self) -> None:
        self._data = bytearray()

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Keep what this thread's C code writes to `stderr` in a block that only decodes."""
        with _installing:
            _install()
        before = getattr(_heard, "by", None)
        _heard.by = self
        try:
            yield
        finally:
            _heard.by = before

    @contextmanager
    def told(self) -> Iterator[None]:
        """Say with an `AudioError` of a block what the decoder has said."""
        try:
            yield
        except AudioError as error:
            if not self._data:
                raise
            raise AudioError(error.outcome, f"{error} {self}") from error

    def add(self, data: bytes) -> None:
        """Keep what was said."""
        self._data += data[: MOST_BYTES - len(self._data)]

    def __str__(self) -> str:
        """Return a sentence, "" of a decoder that was content."""
        text = self._data.decode("utf-8", "replace")
        lines = ("".join(c if c.isprintable() else " " for c in line) for line in text.split("\n"))
        said = list(dict.fromkeys(_SOURCE.sub("", line.strip()).rstrip(".") for line in lines))
        said = [line for line in said if line]
        if not said:
            return ""
        more = f"; and {len(said) - SHOWN} more lines" if len(said) > SHOWN else ""
        return f"The decoder said: {'; '.join(said[:SHOWN])}{more}."


@cache
def _install() -> None:
    """Point C's `stderr` to `_write` until the interpreter ends."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return
    library.fopencookie.restype = ctypes.c_void_p
    library.fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Functions]
    stream = ctypes.c_void_p(library.fopencookie(None, b"w", _Functions(None, _write, None, None)))
    library.setvbuf(stream, None, _UNBUFFERED, ctypes.c_size_t(0))
    # Who waits for Python in `_write` must hold no lock that a thread within Python may wait for.
    library.__fsetlocking(stream, _UNLOCKED)
    variable = ctypes.c_void_p.in_dll(library, "stderr")
    before = variable.value
    variable.value = stream.value
    atexit.register(setattr, variable, "value", before)


def _pass_on(_: object, data: "ctypes._Pointer[ctypes.c_char]", size: int) -> int:
    said = ctypes.string_at(data, size)
    by: Complaints | None = getattr(_heard, "by", None)
    if by is not None:
        by.add(said)
    else:
        with suppress(OSError):
            os.write(2, said)
    return size


_write = _Write(_pass_on)
