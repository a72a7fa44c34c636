"""Texts that a run has finished, kept beside the manifest to be written.

A folder of sealed JSON files, one for each piece of work, whole or absent. A file is of one recipe
(recogniser, number type, longest text, audio contract) and names each clip by a key of its file's
bytes and its place in them, so that a changed recording or another recogniser is transcribed anew.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.audio.segments import Segment
from pipeline.errors import OutputError
from pipeline.files import clear_temporaries, fingerprint, publish_bytes, read_bytes, sealed_json
from pipeline.typed import unsealed


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What has become of a clip.

    Attributes:
        outcome: Of `pipeline.audio.outcomes`.
        message: What is wrong with it, "" if it was transcribed.
        text: What is said in it.
        duration: Seconds; 0 where it could not be decoded.
    """

    outcome: str
    message: str = ""
    text: str = ""
    duration: float = 0.0


@dataclass(frozen=True, kw_only=True)
class _Piece:
    """A file of finished texts: the fingerprint of their recipe, and each by its clip's key."""

    recipe: str
    clips: dict[str, Heard]


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


class KeptTexts:
    """The texts of one recipe in a folder.

    Attributes:
        folder: Where they lie.
        known: What is there, by key.
    """

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        """Read what is kept of this recipe; what is damaged is transcribed again.

        Raises:
            OutputError: If the folder is a file.
        """
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder}: is a file, wanted a folder for finished texts; move it.")
        clear_temporaries(folder)
        self.folder = folder
        self._recipe = fingerprint(recipe)
        self.known: dict[str, Heard] = {}
        for path in sorted(folder.glob(f"{self._recipe[:12]}-*.json")):
            piece = unsealed(_Piece, read_bytes(path))
            if piece is not None and piece.recipe == self._recipe:
                self.known |= piece.clips

    def add(self, heard: Mapping[str, Heard]) -> None:
        """Keep a finished piece; nothing of an empty one.

        Raises:
            OutputError: If it cannot be written.
        """
        if not heard:
            return
        name = f"{self._recipe[:12]}-{fingerprint(sorted(heard))[:16]}.json"
        piece = _Piece(recipe=self._recipe, clips=dict(heard))
        publish_bytes(self.folder / name, sealed_json(asdict(piece)))
        self.known |= heard
