"""Layers larger than memory: each step reads its clips from the store, to the same head."""

import math
from pathlib import Path

import numpy as np
import pytest

from helpers.training import train_into
from helpers.uneven_corpora import HEAD_CONFIGS
from pipeline.dataset import StoredFeatures
from pipeline.heads.needs import LAYERS_OF_A_CLIP
from pipeline.sources.opening import bytes_in_memory, open_source
from pipeline.sources.streamed import Drawn
from pipeline.training.config import TrainConfig

LAYERS_BYTES = 60 * 2 * 16 * 2  # of the training clips, float16


@pytest.fixture
def read_at_once(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many clips were read at once."""
    found: list[int] = []
    read = StoredFeatures.read

    def noted(self: StoredFeatures, rows: np.ndarray, *of: object) -> np.ndarray:
        found.append(len(rows))
        return read(self, rows, *of)

    monkeypatch.setattr(StoredFeatures, "read", noted)
    return found


@pytest.mark.parametrize(
    ("head", "settings"),
    [
        ("genser", {"standardise_over": "corpus", "mixup": 1.0}),
        ("linear", {"balance": "sampler", "standardise": "scalar"}),
        ("logreg", {}),
    ],
)
def test_a_head_is_the_same_wherever_its_clips_are_read_from(
    uneven, tmp_path: Path, read_at_once: list[int], head: str, settings: dict
) -> None:
    manifest, store = uneven
    config = TrainConfig(
        head=head, heads={head: HEAD_CONFIGS[head]}, num_steps=10, batch_size=8, **settings
    )
    folders = {}
    for name, held in (("held", math.inf), ("fits", LAYERS_BYTES), ("drawn", LAYERS_BYTES - 1)):
        read_at_once.clear()
        train_into(tmp_path / name, manifest, store, config, held_bytes=held)
        folders[name] = {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()}
        # A batch for each step; logistic regression is fitted on all clips at once.
        is_drawn = name == "drawn" and head != "logreg"
        batches = [num for num in read_at_once if num <= 8]
        assert len(batches) == (10 + 1 if is_drawn else 0)  # one is read ahead
    assert folders["held"] == folders["fits"] == folders["drawn"]


def test_the_memory_that_is_told_is_two_batches_of_larger_layers(uneven) -> None:
    manifest, store = uneven
    features, rows = StoredFeatures(manifest, {"": store}), np.arange(60)
    told = {
        held: bytes_in_memory(
            features,
            rows,
            [LAYERS_OF_A_CLIP],
            frames_in="store",
            pool_shards=8,
            held_bytes=held,
            batch_size=8,
        )
        for held in (LAYERS_BYTES, LAYERS_BYTES - 1)
    }
    assert list(told.values()) == [LAYERS_BYTES, 16 * 2 * 16 * 2]


def test_heads_that_read_texts_too_hold_their_layers(uneven) -> None:
    manifest, store = uneven
    features, rows = StoredFeatures(manifest, {"": store}), np.arange(60)
    for columns, is_drawn in (((), True), (("speaker",), False)):
        source = open_source(
            features, rows, [LAYERS_OF_A_CLIP], columns, device="cpu", held_bytes=0
        )
        assert isinstance(source, Drawn) == is_drawn
