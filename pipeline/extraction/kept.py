"""What a run has finished of its clips, kept beside the manifest to be written.

A folder of sealed JSON files, one for each piece of work, whole or absent. A file is of one recipe
(all that changes a result) and names each clip by a key of its file's bytes and its place in them,
so that a changed recording, or another recipe, is worked on anew.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pipeline.audio.segments import Segment
from pipeline.errors import GenserError, OutputError
from pipeline.extraction.encoding import file_digest
from pipeline.files import (
    clear_temporaries,
    fingerprint,
    publish_bytes,
    read_bytes,
    sealed_json,
)
from pipeline.typed import typed, unsealed

Told = TypeVar("Told")


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A file of what is finished: the fingerprint of its recipe, and each by its clip's key."""

    recipe: str
    clips: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Clip:
    """A stretch of a recording of this very content.

    Attributes:
        place: What to read.
        digest: SHA-256 of the file's bytes, "" if it cannot be read.
    """

    place: Segment
    digest: str

    @cached_property
    def key(self) -> str:
        """What names it whatever its file is called: its bytes, how and where they are read."""
        place = self.place
        suffix = place.path.suffix.lower()
        where = str(place.path) if self.digest == "" else ""
        promised = [place.num_samples, place.sample_rate]
        cut = [place.start, place.end, place.channel]
        return fingerprint([self.digest, where, suffix, cut, promised])


def clips_of(places: Sequence[Segment], pool: Executor) -> list[Clip]:
    """Return the clips at these places, with the digest of each file, read once."""
    paths = list(dict.fromkeys(place.path for place in places))
    digests = dict(zip(paths, pool.map(file_digest, paths), strict=True))
    return [Clip(place, digests[place.path]) for place in places]


def _told(kind: type[Told], clips: Mapping[str, Mapping[str, Any]]) -> dict[str, Told]:
    """Return what is kept of clips as dataclasses; nothing where it has another form."""
    try:
        return {key: typed(kind, told, "") for key, told in clips.items()}
    except GenserError:
        return {}


class KeptClips(Generic[Told]):
    """What one recipe has made of clips, in a folder.

    Attributes:
        folder: Where it lies.
        known: What is there, by key.
    """

    def __init__(
        self, folder: Path, recipe: Mapping[str, Any], kind: type[Told], what: str
    ) -> None:
        """Read what is kept of this recipe; what is damaged is made again.

        Args:
            folder: Where it lies; it need not be there.
            recipe: Plain JSON values.
            kind: The dataclass of what is told of a clip, with plain JSON values.
            what: What that is called, for messages.

        Raises:
            OutputError: If the folder is a file.
        """
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file, wanted a folder for {what}; move it.")
        clear_temporaries(folder)
        self.folder = folder
        self._recipe = fingerprint(recipe)
        self.known: dict[str, Told] = {}
        for path in sorted(folder.glob(f"{self._recipe[:12]}-*.json")):
            piece = unsealed(_Piece, read_bytes(path))
            if piece is not None and piece.recipe == self._recipe:
                self.known |= _told(kind, piece.clips)

    def add(self, told: Mapping[str, Told]) -> None:
        """Keep a finished piece; nothing of an empty one.

        Raises:
            OutputError: If it cannot be written.
        """
        if not told:
            return
        name = f"{self._recipe[:12]}-{fingerprint(sorted(told))[:16]}.json"
        clips = {key: asdict(cast(Any, one)) for key, one in told.items()}
        publish_bytes(self.folder / name, sealed_json({"recipe": self._recipe, "clips": clips}))
        self.known |= told
