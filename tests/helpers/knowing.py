"""A head whose two representations are known to know different things, and clips to ask it about.

A clip's frames say its class (dimension 0), its sentence (1 to 3) and who speaks (4 and 5);
`content` sees the sentence alone, `descriptor` the rest. The head writes what it sees: sentences
are always right, descriptions where the class is not told from the pitch alone are not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import HeadKind
from pipeline.heads.classifier import LogitHead
from pipeline.heads.needs import Need, Shapes
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.store.views import FRAMES

SPLITS = ("train", "train", "train", "dev", "test", "test")
SENTENCES = ("one", "two", "three")
DIM = 6
CONTENT, DESCRIPTOR = [1, 2, 3], [0, 4, 5]
NOISE = 0.05


def described(label: int, speaker: int) -> str:
    """Return how a clip sounds: classes differ in energy, speakers in pitch."""
    pitch, energy = ("low", "high")[speaker % 2], ("soft", "loud")[label]
    return f"A {energy} voice with {pitch} pitch."


class Corpus(NamedTuple):
    """A manifest and its store of frames, one layer of `DIM`."""

    manifest: Manifest
    store: Path


def write_corpus(folder: Path, copies: int = 2) -> Corpus:
    """Write clips of six speakers, each of whom says every sentence in every class."""
    rows, clips = [], []
    draw = np.random.default_rng(0)
    for speaker in range(len(SPLITS)):
        for label in range(2):
            for sentence in range(len(SENTENCES)):
                for copy in range(copies):
                    name = f"{speaker}-{label}-{sentence}-{copy}"
                    rows.append(
                        {
                            "utterance_id": name,
                            "path": f"{name}.wav",
                            "corpus": "known",
                            "speaker": f"s{speaker}",
                            "split": SPLITS[speaker],
                            "emotion": ("calm", "angry")[label],
                            "gender": ("female", "male")[speaker % 2],
                            "text": SENTENCES[sentence],
                            "descriptors": described(label, speaker),
                        }
                    )
                    angle = 2 * np.pi * speaker / len(SPLITS)
                    place = [label, *np.eye(3)[sentence], np.cos(angle), np.sin(angle)]
                    noise = draw.normal(scale=NOISE, size=(draw.integers(2, 6), DIM))
                    clips.append((np.array(place) + noise).astype(np.float32)[:, None])
    table = pd.DataFrame(rows)
    folder.mkdir(exist_ok=True)
    write_manifest(folder / "m.csv", table)
    frames = FeatureTable(
        utterance_ids=table["utterance_id"].tolist(),
        features=np.concatenate(clips),
        offsets=np.cumsum([0, *map(len, clips)], dtype=np.int64),
    )
    ingest(frames, folder / "store", IngestConfig(stored_dtype="float32"), Silence())
    return Corpus(read_manifest(folder / "m.csv"), folder / "store")


@dataclass(frozen=True, kw_only=True)
class KnowingConfig:
    """Nothing."""


class Knowing(LogitHead):
    """Logistic regression on the mean frame."""

    label_smoothing = 0.0

    @classmethod
    def needs(cls, config: KnowingConfig) -> Sequence[Need]:
        return (Need(name=FRAMES, kind=FRAMES, view=FRAMES, standardise=False),)

    def __init__(self, shapes: Shapes, num_classes: int, config: KnowingConfig) -> None:
        super().__init__()
        self.decide = torch.nn.Linear(shapes[FRAMES].dim, num_classes)

    def mean(self, batch: Batch) -> Tensor:
        frames = batch.ragged(FRAMES)
        return frames.values.sum(1)[:, 0] / frames.lengths[:, None]

    def logits(self, batch: Batch) -> Tensor:
        return self.decide(self.mean(batch))

    def extras(self, batch: Batch, options: None) -> Mapping[str, Sequence[str] | Tensor]:
        mean = self.mean(batch)
        loud, sentences = (mean[:, 0] > 0.5).tolist(), mean[:, CONTENT].argmax(1).tolist()
        return {
            "descriptors": [described(label, speaker=0) for label in loud],
            "transcript": [SENTENCES[sentence] for sentence in sentences],
        }

    def representations(self, batch: Batch) -> Mapping[str, Tensor]:
        mean = self.mean(batch)
        return {"content": mean[:, CONTENT], "descriptor": mean[:, DESCRIPTOR]}


KIND = HeadKind(Knowing, KnowingConfig)
