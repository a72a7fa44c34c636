"""From a manifest and its recordings to the manifest with recognised texts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from pipeline.audio.decoders import decoders
from pipeline.audio.decoding import CONTRACT
from pipeline.audio.outcomes import OK, TOO_LONG
from pipeline.audio.roots import found_requests
from pipeline.audio.segments import segments
from pipeline.errors import EncoderError, ParamsError
from pipeline.extraction.encoding import Decoded, decode
from pipeline.extraction.kept import Clip, KeptClips, clips_of
from pipeline.manifests.manifest import Manifest
from pipeline.manifests.texts import given_texts, recognised
from pipeline.progress import Reporter
from pipeline.transcription.base import Recogniser
from pipeline.transcription.rates import rates_by_corpus
from pipeline.transcription.recogniser import MAX_NEW_TOKENS

BATCHES_PER_PIECE = 4  # what a kill can cost


@dataclass(frozen=True, kw_only=True)
class TranscribeConfig:
    """Everything about transcription that changes a text, and how many clips share a batch."""

    model: str = ""  # folder or owner/name@commit of a recogniser: Whisper, or CTC
    batch_size: int = 8  # clips of like length; changes the last bits of scores only
    compute_dtype: str = "float32"  # float32, bfloat16, or float16 on a GPU
    max_new_tokens: int = MAX_NEW_TOKENS  # a text ends there; CTC knows no such end
    max_duration_s: float = 30.0  # longer clips are refused; Whisper takes no more at once

    def __post_init__(self) -> None:
        for name in ("batch_size", "max_new_tokens", "max_duration_s"):
            value = getattr(self, name)
            if not value > 0:
                raise ParamsError(f"transcribe.{name}: found {value}, wanted more than 0.")


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a run has done.

    Attributes:
        outcomes: Clips of the manifest by outcome.
        failures: A line for each clip without a text: where, outcome and message.
        audio_s: Seconds of the clips that were decoded.
        num_new: Clips that this run transcribed.
        word_errors: Word error rate against given texts and their number, by corpus.
    """

    outcomes: dict[str, int]
    failures: list[str]
    audio_s: float
    num_new: int
    word_errors: dict[str, tuple[float, int]]


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


class Piece(NamedTuple):
    """A clip, what has become of it, and whether its bytes alone decided that."""

    clip: Clip
    heard: Heard
    is_final: bool


def transcribe(
    manifest: Manifest,
    audio_roots: Mapping[str, Path],
    recogniser: Recogniser,
    config: TranscribeConfig,
    *,
    kept_in: Path,
    workers: int,
    reporter: Reporter,
) -> tuple[pd.DataFrame, Summary]:
    """Return a manifest's table with recognised texts, and what was done.

    Args:
        manifest: The manifest.
        audio_roots: Folder of each corpus, as `pipeline.manifests.manifest.requests` takes them.
        recogniser: The recogniser.
        config: Its settings.
        kept_in: A folder for finished texts, from which a stopped run goes on.
        workers: Threads that decode.
        reporter: Hears of progress.

    Raises:
        ManifestError: If a corpus has no audio root, or none of its recordings is there.
        EncoderError: If the recogniser takes no clips as long as `config.max_duration_s`.
        OutputError: If finished texts cannot be kept.
    """
    limit = recogniser.max_window_s
    if limit is not None and config.max_duration_s > limit:
        raise EncoderError(
            f"transcribe.max_duration_s: {recogniser.spelling} takes {limit:g} seconds at once, "
            f"found {config.max_duration_s:g}; longer clips are refused, set it to {limit:g}."
        )
    places = segments(found_requests(manifest, audio_roots))
    recipe = {
        "recogniser": dict(recogniser.identity),
        "compute_dtype": config.compute_dtype,
        "max_new_tokens": config.max_new_tokens,
        "max_duration_s": config.max_duration_s,
        "audio_contract": CONTRACT,
    }
    kept = KeptClips(kept_in, recipe, Heard, "finished texts")
    with decoders(workers) as pool:
        clips = clips_of(places, pool)
        different = {clip.key: clip for clip in clips}
        todo = [clip for key, clip in different.items() if key not in kept.known]
        # What cannot be read is tried every time; at the end it shifts no piece.
        todo.sort(key=lambda clip: clip.digest == "")
        num_known = len(different) - len(todo)
        reporter.say(f"{len(todo)} clips to transcribe, {num_known} kept from an earlier run")
        reporter.begin(len(todo))
        heard = dict(kept.known)
        for piece in _pieces(todo, recogniser, config, pool):
            kept.add({clip.key: told for clip, told, is_final in piece if is_final})
            heard |= {clip.key: told for clip, told, _ in piece}
            reporter.advance(len(piece), sum(told.duration for _, told, _ in piece))
    return _concluded(manifest, [heard[clip.key] for clip in clips], recogniser.source, len(todo))


def hear(
    decoded: Sequence[Decoded], recogniser: Recogniser, config: TranscribeConfig
) -> list[Heard]:
    """Return what becomes of decoded clips; no text where one cannot be used."""
    texts = _texts(decoded, recogniser, config.batch_size)
    return [_heard(each, text, config) for each, text in zip(decoded, texts, strict=True)]


def _pieces(
    todo: Sequence[Clip],
    recogniser: Recogniser,
    config: TranscribeConfig,
    pool: ThreadPoolExecutor,
) -> Iterator[list[Piece]]:
    """Yield piece after piece of the clips, transcribed; the next one is decoded meanwhile.

    What is in a piece, and in its batches, does not depend on where an earlier run was stopped,
    so that a run that goes on gives the same texts to the last bit of a score.
    """
    size = config.batch_size * BATCHES_PER_PIECE
    cuts = [todo[start : start + size] for start in range(0, len(todo), size)]

    def submit(clips: Sequence[Clip]) -> list[Future[Decoded]]:
        limit = config.max_duration_s
        return [pool.submit(decode, clip.place, recogniser, limit) for clip in clips]

    ahead = submit(cuts[0]) if cuts else []
    for i, clips in enumerate(cuts):
        current = ahead
        ahead = submit(cuts[i + 1]) if i + 1 < len(cuts) else []
        decoded = [future.result() for future in current]
        heard = hear(decoded, recogniser, config)
        yield [
            # What another content says is not kept under this one.
            Piece(clip, told, clip.digest == each.file_digest != "")
            for clip, each, told in zip(clips, decoded, heard, strict=True)
        ]


def _texts(decoded: Sequence[Decoded], recogniser: Recogniser, batch_size: int) -> list[str]:
    """Return what is said in each clip, those of like length together; "" without a waveform."""
    waveforms = {
        i: each.clip.waveform
        for i, each in enumerate(decoded)
        if each.clip is not None and each.clip.waveform is not None
    }
    order = sorted(waveforms, key=lambda i: (-len(waveforms[i]), i))
    texts = [""] * len(decoded)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        found = recogniser.transcribe([waveforms[i] for i in batch])
        for i, text in zip(batch, found, strict=True):
            texts[i] = text
    return texts


def _heard(decoded: Decoded, text: str, config: TranscribeConfig) -> Heard:
    if decoded.clip is None:
        assert decoded.error is not None
        return Heard(outcome=decoded.error.outcome, message=str(decoded.error))
    duration = decoded.clip.duration
    if decoded.clip.waveform is None:
        return Heard(
            outcome=TOO_LONG,
            message=f"{duration:.1f} s are longer than the {config.max_duration_s:g} s of "
            "transcribe.max_duration_s; cut the recording by start and end in the manifest.",
            duration=duration,
        )
    return Heard(outcome=OK, text=text, duration=duration)


def _concluded(
    manifest: Manifest, heard: Sequence[Heard], source: str, num_new: int
) -> tuple[pd.DataFrame, Summary]:
    old = manifest.table
    texts = pd.Series(
        [told.text if told.outcome == OK else None for told in heard], index=old.index, dtype="str"
    )
    compared = pd.DataFrame(
        {"corpus": old["corpus"], "given": given_texts(old), "recognised": texts}
    )
    compared = compared[texts.notna() & (compared["given"] != "")]
    failures = [
        f"{manifest.path}:{manifest.row_number(i)}: {old['utterance_id'].iloc[i]!r}: "
        f"{told.outcome}: {told.message}"
        for i, told in enumerate(heard)
        if told.outcome != OK
    ]
    summary = Summary(
        outcomes=dict(sorted(Counter(told.outcome for told in heard).items())),
        failures=failures,
        audio_s=sum(told.duration for told in heard),
        num_new=num_new,
        word_errors=rates_by_corpus(compared),
    )
    return recognised(old, texts, source), summary
