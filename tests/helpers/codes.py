"""A small corpus whose frames tell its classes, in a store, to be tokenised."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.extraction.codebook_fit import TokeniseConfig
from pipeline.extraction.feature_tables import FeatureTable
from pipeline.extraction.ingest import IngestConfig, ingest
from pipeline.extraction.tokenise import Tokenised, tokenise
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest
from pipeline.progress import Silence

SPLITS = ("train", "train", "train", "dev", "test")
DIM = 6
PLACES = 6.0 * np.eye(4, DIM)
CONFIG = TokeniseConfig(k=(4,), frames_per_centroid=16, iterations=8, rows_per_shard=4)


class Corpus(NamedTuple):
    """A manifest and its store with a view of frames, R = 2 layers of D = 6."""

    manifest: Manifest
    store: Path


def frames_of(clip: int) -> np.ndarray:
    """Return frames in two of four places; which two is the clip's class, 0 or 1."""
    draw = np.random.default_rng(clip)
    which = draw.integers(0, 2, int(draw.integers(2, 9))) + 2 * (clip % 2)
    frames = PLACES[which] + draw.normal(scale=0.1, size=(len(which), DIM))
    return np.stack([frames, 30 * frames + 5], axis=1).astype(np.float32)


def write_corpus(folder: Path, num_clips: int = 30, *, absent: tuple[int, ...] = ()) -> Corpus:
    """Write manifest and store; the frames of `absent` clips are not finite."""
    ids = [f"c{clip:02d}" for clip in range(num_clips)]
    table = pd.DataFrame(
        {
            "utterance_id": ids,
            "path": [f"{name}.wav" for name in ids],
            "corpus": "toy",
            "speaker": [f"s{clip * 10 // num_clips}" for clip in range(num_clips)],
            "split": [SPLITS[clip * 5 // num_clips] for clip in range(num_clips)],
            "emotion": [("calm", "angry")[clip % 2] for clip in range(num_clips)],
        }
    )
    folder.mkdir(exist_ok=True)
    write_manifest(folder / "m.csv", table)
    add_frames(folder / "store", ids, absent=absent)
    return Corpus(read_manifest(folder / "m.csv"), folder / "store")


def add_frames(root: Path, ids: list[str], *, absent: tuple[int, ...] = ()) -> None:
    """Ingest the frames of clips."""
    clips = [frames_of(int(name[1:])) for name in ids]
    for clip in absent:
        clips[clip][0, 0, 0] = np.nan
    frames = FeatureTable(
        utterance_ids=ids,
        features=np.concatenate(clips),
        offsets=np.cumsum([0, *map(len, clips)], dtype=np.int64),
    )
    config = IngestConfig(rows_per_shard=4, stored_dtype="float32")
    ingest(frames, root, config, Silence())


def derive(corpus: Corpus, config: TokeniseConfig = CONFIG, **options: Any) -> list[Tokenised]:
    """Tokenise the corpus into views `codes-<k>`."""
    names = {k: f"codes-{k}" for k in config.k}
    given = {"parent": "frames", "names": names, "replace": False, "device": "cpu"}
    return tokenise(
        corpus.manifest, corpus.store, config, **{**given, **options}, reporter=Silence()
    )
