"""What the parts of a split have in common, and the refusal of it."""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError
from pipeline.manifests.manifest import DECLARED, SPLITS

SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """What the parts of a split have in common.

    Attributes:
        speakers: Speakers (corpus, speaker) with rows in more than one part.
        declared: Those among them whose every row is in the part of the owners' own split, which
            their importer says to share speakers (column `overlap`).
        recordings: Utterances that overlap in time, in one file and channel, with one of another
            part.
        audio: Contents (digest of decoded samples) with rows in more than one part.
    """

    speakers: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    recordings: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether anything is shared that nobody has declared."""
        return bool(self.undeclared or self.recordings or self.audio)

    @property
    def undeclared(self) -> tuple[str, ...]:
        """The shared speakers that no importer declares."""
        declared = set(self.declared)
        return tuple(speaker for speaker in self.speakers if speaker not in declared)

    def sentences(self) -> list[str]:
        """Return a sentence on each kind of thing that is shared."""
        digests = tuple(digest[:12] for digest in self.audio)
        kinds = (
            ("speakers are in more than one split", self.undeclared),
            ("speakers are in more than one split, as the owners made it", self.declared),
            ("utterances overlap in their file with one of another split", self.recordings),
            ("contents of clips are in more than one split", digests),
        )
        return [
            f"{len(shared)} {what}, e.g. {', '.join(map(repr, shared[:SHOWN]))}"
            for what, shared in kinds
            if shared
        ]

    def counts(self) -> dict[str, int]:
        """Return the numbers that are stamped into heads, predictions and metrics."""
        return {
            "shared_speakers": len(self.speakers),
            "declared_speakers": len(self.declared),
            "shared_recordings": len(self.recordings),
            "shared_audio": len(self.audio),
        }


def find_leaks(table: pd.DataFrame, audio_digests: pd.Series | None = None) -> Leaks:
    """Find speakers, recordings and audio contents with rows in more than one split.

    Args:
        table: A manifest's columns; rows without a split are passed over, and for speakers those
            without one.
        audio_digests: Digest of each row's decoded samples, "" where unknown.
    """
    table = table[table["split"] != ""]
    speakers = _shared(table[table["speaker"] != ""], ["corpus", "speaker"])
    audio: list[tuple[str, ...]] = []
    if audio_digests is not None:
        with_audio = table.assign(digest=audio_digests.loc[table.index])
        audio = _shared(with_audio[with_audio["digest"] != ""], ["digest"])
    return Leaks(
        speakers=tuple(_name(pair) for pair in speakers),
        declared=tuple(_name(pair) for pair in _declared(table, speakers)),
        recordings=_shared_recordings(table) if "path" in table.columns else (),
        audio=tuple(digest for (digest,) in audio),
    )


def require_no_leaks(where: object, leaks: Leaks, *, allowed: bool) -> None:
    """Refuse splits that share speakers, recordings or audio.

    Raises:
        ManifestError: Naming how many and the first few, unless `allowed`.
    """
    if not leaks or allowed:
        return
    sentences = replace(leaks, speakers=leaks.undeclared, declared=()).sentences()
    raise ManifestError(
        f"{where}: {sentences[0]}; mend the split column, or accept it with "
        "--allow-speaker-overlap (the result is stamped with it)."
    )


def _name(pair: tuple[str, ...]) -> str:
    return "/".join(part for part in pair if part)


def _shared(table: pd.DataFrame, columns: list[str]) -> list[tuple[str, ...]]:
    """Return the values of `columns` that occur in more than one split, sorted."""
    pairs = table[[*columns, "split"]].drop_duplicates()
    shared = pairs[pairs.duplicated(columns)][columns].drop_duplicates()
    return sorted(shared.itertuples(index=False, name=None))


def _declared(table: pd.DataFrame, speakers: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    if not speakers or not {"official", "overlap"} <= set(table.columns):
        return []
    as_declared = (table["overlap"] == DECLARED) & (table["split"] == table["official"])
    otherwise = table[~as_declared]
    undeclared = set(zip(otherwise["corpus"], otherwise["speaker"], strict=True))
    return [pair for pair in speakers if pair not in undeclared]


def _shared_recordings(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the utterances that begin before one of another split has ended in their file."""
    file = ["corpus", "path", "channel"]
    absent = {"channel": -1, "start": np.nan, "end": np.nan}  # as an importer's rows may have them
    table = table.assign(**{c: v for c, v in absent.items() if c not in table.columns})
    table = table[table.duplicated(file, keep=False)]
    if table.empty:
        return ()
    table = table.assign(start=table["start"].fillna(0.0), end=table["end"].fillna(np.inf))
    table = table.sort_values([*file, "start", "end"], kind="stable")
    groups = [table[name] for name in file]
    shares = pd.Series(data=False, index=table.index)
    for split in SPLITS:
        ends = table["end"].where(table["split"] == split, -np.inf)
        # What ended last before this row, among this split's rows of the file.
        latest = ends.groupby(groups).cummax().groupby(groups).shift(fill_value=-np.inf)
        shares |= (table["split"] != split) & (table["start"] < latest)
    return tuple(sorted(table["utterance_id"][shares]))
