"""Splits that share no speaker, and the proof that they do not."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.errors import ManifestError


@dataclass(frozen=True, kw_only=True)
class Leaks:
    """What the parts of a split have in common.

    Attributes:
        speakers: Speakers (corpus, speaker) with rows in more than one part.
        audio: Contents (digest of decoded samples) with rows in more than one part.
    """

    speakers: tuple[str, ...] = ()
    audio: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Say whether anything is shared."""
        return bool(self.speakers or self.audio)

    def counts(self) -> dict[str, int]:
        """Return the numbers that are stamped into heads, predictions and metrics."""
        return {"shared_speakers": len(self.speakers), "shared_audio": len(self.audio)}


def find_leaks(table: pd.DataFrame, audio_digests: pd.Series | None = None) -> Leaks:
    """Find speakers and audio contents with rows in more than one split.

    Args:
        table: Columns split, corpus and speaker; rows without split or speaker are passed over.
        audio_digests: Digest of each row's decoded samples, "" where unknown.
    """
    table = table[table["split"] != ""]
    speakers = _shared(table[table["speaker"] != ""], ["corpus", "speaker"])
    audio: list[tuple[str, ...]] = []
    if audio_digests is not None:
        with_audio = table.assign(digest=audio_digests.loc[table.index])
        audio = _shared(with_audio[with_audio["digest"] != ""], ["digest"])
    return Leaks(
        speakers=tuple(
            f"{corpus}/{speaker}" if corpus else speaker for corpus, speaker in speakers
        ),
        audio=tuple(digest for (digest,) in audio),
    )


def require_no_leaks(where: object, leaks: Leaks, *, allowed: bool) -> None:
    """Refuse splits that share speakers or audio.

    Raises:
        ManifestError: Naming how many and the first few, unless `allowed`.
    """
    if not leaks or allowed:
        return
    kind, shared = ("speakers", leaks.speakers) if leaks.speakers else ("clips", leaks.audio)
    if kind == "clips":
        shared = tuple(digest[:12] for digest in shared)
    raise ManifestError(
        f"{where}: {len(shared)} {kind} are in more than one split, e.g. "
        f"{', '.join(map(repr, shared[:3]))}; mend the split column, or accept it with "
        "--allow-speaker-overlap (the result is stamped with it)."
    )


def assign_splits(
    table: pd.DataFrame, *, dev_fraction: float, test_fraction: float, seed: int
) -> pd.Series:
    """Give each speaker to train, dev or test, by gender where it is known.

    Args:
        table: Columns corpus, speaker and, if known, gender.
        dev_fraction: Part of each gender's speakers for dev, at least one.
        test_fraction: The same for test.
        seed: Seed of the shuffle.

    Returns:
        The split of each row.

    Raises:
        ManifestError: If a gender has fewer than three speakers.
    """
    gender = table["gender"] if "gender" in table.columns else pd.Series("", index=table.index)
    keys = pd.DataFrame({"corpus": table["corpus"], "gender": gender, "speaker": table["speaker"]})
    generator = np.random.default_rng(seed)
    parts: dict[tuple[str, str], str] = {}
    for (corpus, kind), group in keys.drop_duplicates().groupby(["corpus", "gender"]):
        speakers = np.array(sorted(group["speaker"]), dtype=object)
        if len(speakers) < 3:
            raise ManifestError(
                f"corpus {corpus!r}: {len(speakers)} speakers of gender {kind!r}, wanted at least "
                "3 for train, dev and test without a shared speaker; write the split column "
                "yourself."
            )
        generator.shuffle(speakers)
        # Rounding up both must not leave train without a speaker.
        num_dev = min(max(1, round(dev_fraction * len(speakers))), len(speakers) - 2)
        num_test = min(max(1, round(test_fraction * len(speakers))), len(speakers) - num_dev - 1)
        for i, speaker in enumerate(speakers):
            part = "dev" if i < num_dev else "test" if i < num_dev + num_test else "train"
            parts[(corpus, speaker)] = part
    pairs = zip(table["corpus"], table["speaker"], strict=True)
    return pd.Series([parts[pair] for pair in pairs], index=table.index, dtype="str")


def _shared(table: pd.DataFrame, columns: list[str]) -> list[tuple[str, ...]]:
    """Return the values of `columns` that occur in more than one split, sorted."""
    pairs = table[[*columns, "split"]].drop_duplicates()
    shared = pairs[pairs.duplicated(columns)][columns].drop_duplicates()
    return sorted(shared.itertuples(index=False, name=None))
