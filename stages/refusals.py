"""What the machine refuses, as a line: memory, open files, threads, room on a disk."""

import errno

_ADVICE = "what was finished is kept; run the same command again when there is more."
_KINDS = {
    errno.ENOMEM: "memory",
    errno.EMFILE: "open files (ulimit -n)",
    errno.ENFILE: "open files",
    errno.ENOSPC: "room on the disk",
    errno.EDQUOT: "room on the disk",
    errno.EFBIG: "room for a file of this size (ulimit -f)",
}
# How libraries that know no better error say it: torch's allocator, oneDNN, Python's threads.
_WORDS = {
    "can't allocate memory": "memory",
    "could not create a primitive": "memory",
    "out of memory": "memory",
    "can't start new thread": "threads (ulimit -u), or memory for one",
}


def refusal(error: BaseException) -> str | None:
    """Return the line of an error that is the machine's doing; None if it is a bug of ours."""
    lacking = _lacking(error)
    if lacking is None:
        return None
    said = " ".join(str(error).split())
    return f"The machine has no more {lacking}{f' ({said[:200]})' if said else ''}; {_ADVICE}"


def _lacking(error: BaseException) -> str | None:
    if isinstance(error, MemoryError):
        return "memory"
    if isinstance(error, OSError):
        return _KINDS.get(error.errno) if error.errno is not None else None
    if isinstance(error, RuntimeError):
        said = str(error).lower()
        return next((lacking for words, lacking in _WORDS.items() if words in said), None)
    return None
