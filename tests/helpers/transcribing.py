"""A small transcription, with a recogniser that counts, which tests run, watch and kill."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.extraction import tree
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.transcription.base import Recogniser
from pipeline.transcription.transcribe import Summary, TranscribeConfig, transcribe

BATCH_SIZE = 2  # and four batches to a piece


class PlainRecogniser(Recogniser):
    """Says how long a clip is and who was beside it; counts what it hears."""

    spelling = "plain"
    sample_rate = 16000
    min_samples = 400
    max_window_s = 30.0

    def __init__(self, weights: str = "w0", *, tells_batch: bool = False) -> None:
        self.identity = {"family": "plain", "weights": weights}
        self.num_heard = 0
        self._tells_batch = tells_batch

    def transcribe(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        self.num_heard += len(waveforms)
        beside = f" of {[len(x) for x in waveforms]}" if self._tells_batch else ""
        return [f"{len(x)} samples{beside}" for x in waveforms]


def write_clips(folder: Path, make_wav: Any, num: int) -> Path:
    """Write clips of .1 s and more, every third of them with a text, and their manifest."""
    rows = []
    for i in range(num):
        make_wav(folder / "audio" / f"{i}.wav", 0.1 + (5 * i % num) / 100, seed=i)
        text = f"{1600 + 160 * (5 * i % num)} samples" if i % 3 == 0 else ""
        rows.append({"utterance_id": f"c{i}", "path": f"{i}.wav", "corpus": "c", "text": text})
    write_manifest(folder / "manifest.csv", pd.DataFrame(rows))
    return folder / "manifest.csv"


def run(
    manifest: Path, recogniser: Recogniser | None = None, *, out: str = "out.csv", **config: Any
) -> Summary:
    """Transcribe a manifest's clips to a manifest beside it, as the command does."""
    path = manifest.with_name(out)
    table, summary = transcribe(
        read_manifest(manifest),
        {"": manifest.parent / "audio"},
        recogniser or PlainRecogniser(),
        TranscribeConfig(model="plain", **{"batch_size": BATCH_SIZE, **config}),
        kept_in=path.with_name(f"{out}.texts"),
        workers=2,
        reporter=Silence(),
    )
    write_manifest(path, table)
    return summary


def num_heard(manifest: Path, **options: Any) -> int:
    """Transcribe, and return how many clips met the recogniser."""
    recogniser = PlainRecogniser(options.pop("weights", "w0"))
    run(manifest, recogniser, **options)
    return recogniser.num_heard


def written(manifest: Path) -> dict[str, bytes]:
    """Return the files that a transcription has left beside its manifest."""
    return {name: data for name, data in tree(manifest.parent).items() if name.startswith("out.")}
