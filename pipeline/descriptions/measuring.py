"""The numbers of slots from recordings, by the built-in prosody; finished clips are kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.audio.decoders import decoders
from pipeline.audio.decoding import CONTRACT
from pipeline.audio.outcomes import OK, TOO_LONG
from pipeline.audio.roots import found_requests
from pipeline.audio.segments import segments
from pipeline.descriptions.acoustics import Acoustics
from pipeline.descriptions.emphasis import Word, emphasised, word_times
from pipeline.descriptions.prosody import (
    IDENTITY,
    MIN_SAMPLES,
    NUMBERS,
    SAMPLE_RATE,
    prosody,
    track,
)
from pipeline.extraction.encoding import decode
from pipeline.extraction.kept import Clip, KeptClips, clips_of
from pipeline.files import fingerprint
from pipeline.manifests.manifest import Manifest
from pipeline.progress import Reporter

CLIPS_PER_PIECE = 64  # what a kill can cost


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What has become of a clip.

    Attributes:
        outcome: Of `pipeline.audio.outcomes`.
        message: What is wrong with it, "" if it was measured.
        numbers: As `pipeline.descriptions.prosody.prosody` gives them.
        stressed: Which word stands out, None if none does or nobody knows.
        duration: Seconds; 0 where it could not be decoded.
    """

    outcome: str
    message: str = ""
    numbers: dict[str, float] = field(default_factory=dict)
    stressed: int | None = None
    duration: float = 0.0


class Job(NamedTuple):
    """A clip to measure, and when its words are said."""

    clip: Clip
    words: tuple[Word, ...]

    @property
    def key(self) -> str:
        """What names it: words that lie elsewhere make it another."""
        return fingerprint([self.clip.key, self.words]) if self.words else self.clip.key


class Ear:
    """Who hears the clips, as decoding wants to know."""

    sample_rate = SAMPLE_RATE
    min_samples = MIN_SAMPLES


def measured_acoustics(
    manifest: Manifest,
    audio_roots: Mapping[str, Path],
    *,
    max_duration_s: float,
    kept_in: Path,
    workers: int,
    reporter: Reporter,
) -> Acoustics:
    """Return what recordings tell of a manifest's rows: all slots.

    Args:
        manifest: The manifest.
        audio_roots: Folder of each corpus, as `pipeline.manifests.manifest.requests` takes them.
        max_duration_s: Longer clips are refused.
        kept_in: A folder for finished clips, from which a stopped run goes on.
        workers: Threads that decode and measure.
        reporter: Hears of progress.

    Raises:
        ManifestError: If a corpus has no audio root, or none of its recordings is there, or
            `word_times` cannot be read.
        OutputError: If finished clips cannot be kept.
    """
    words = word_times(manifest)
    places = segments(found_requests(manifest, audio_roots))
    recipe = {**IDENTITY, "audio_contract": CONTRACT, "max_duration_s": max_duration_s}
    kept = KeptClips(kept_in, recipe, Measured, "measured clips")
    with decoders(workers) as pool:
        clips = clips_of(places, pool)
        jobs = [Job(clip, tuple(told)) for clip, told in zip(clips, words, strict=True)]
        different = {job.key: job for job in jobs}
        todo = [job for key, job in different.items() if key not in kept.known]
        # What cannot be read is tried every time; at the end it shifts no piece.
        todo.sort(key=lambda job: job.clip.digest == "")
        num_known = len(different) - len(todo)
        reporter.say(f"{len(todo)} clips to measure, {num_known} kept from an earlier run")
        reporter.begin(len(todo))
        found = dict(kept.known)
        for start in range(0, len(todo), CLIPS_PER_PIECE):
            piece = todo[start : start + CLIPS_PER_PIECE]
            told = pool.map(lambda job: _measured(job, max_duration_s), piece)
            made = list(zip(piece, told, strict=True))
            kept.add({job.key: one for job, (one, is_final) in made if is_final})
            found |= {job.key: one for job, (one, _) in made}
            reporter.advance(len(made), sum(one.duration for _, (one, _) in made))
    rows = [found[job.key] for job in jobs]
    numbers = pd.DataFrame([one.numbers for one in rows], index=manifest.table.index)
    return Acoustics(
        numbers=numbers.reindex(columns=list(NUMBERS)).astype("float64"),
        outcomes=[one.outcome for one in rows],
        messages=[one.message for one in rows],
        stressed=[one.stressed for one in rows],
        measure=recipe,
    )


def _measured(job: Job, max_duration_s: float) -> tuple[Measured, bool]:
    """Return what becomes of a clip, and whether its bytes alone decided that."""
    decoded = decode(job.clip.place, Ear(), max_duration_s)
    # What another content says is not kept under this one.
    is_final = job.clip.digest == decoded.file_digest != ""
    if decoded.clip is None:
        assert decoded.error is not None
        return Measured(outcome=decoded.error.outcome, message=str(decoded.error)), is_final
    duration = decoded.clip.duration
    if decoded.clip.waveform is None:
        message = (
            f"{duration:.1f} s are longer than the {max_duration_s:g} s of "
            "describe.max_duration_s; cut the recording by start and end in the manifest."
        )
        return Measured(outcome=TOO_LONG, message=message, duration=duration), is_final
    clip = track(decoded.clip.waveform)
    stressed = emphasised(clip, job.words)
    numbers = prosody(clip)
    told = Measured(outcome=OK, numbers=numbers, stressed=stressed, duration=duration)
    return told, is_final
