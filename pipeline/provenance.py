"""What a result was made with: recorded beside it, never compared."""

import platform
from importlib.metadata import version

PACKAGES = ("genser", "torch", "transformers", "numpy", "soundfile", "soxr", "h5py", "pyarrow")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that touch a number."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
