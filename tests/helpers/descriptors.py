"""A small corpus whose frames tell its classes, and a tiny language model that describes them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from helpers.codes import Corpus, write_corpus
from helpers.language import save_language_model
from pipeline.dataset import StoredFeatures
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import build_head, head_needs
from pipeline.heads.descriptors import Descriptors
from pipeline.heads.descriptors_config import DescriptorsConfig
from pipeline.heads.phase import OptimiserConfig
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.sources.opening import open_source, shapes_of, views_of
from pipeline.training.config import TrainConfig

CLASSES = ("angry", "calm")  # in score order
SAID = {"calm": "They have all left.", "angry": "Go away."}
DESCRIBED = {"calm": "A low, soft voice.", "angry": "A high, loud voice."}


class Made(NamedTuple):
    """A corpus with transcripts and descriptions, and the folder of a language model."""

    corpus: Corpus
    language: Path


def answers() -> list[list[str]]:
    """Return what the model has learnt to spell, in parts as they are tokenised."""
    transcribed = [["", f" {text}"] for text in SAID.values()]
    for label, text in SAID.items():
        described = ["", "Description:", f" {DESCRIBED[label]}", "\n", "Emotion:", f" {label}"]
        transcribed.append([*described, "\n", "Transcript:", f" {text}"])
    return transcribed


def make(folder: Path, num_clips: int = 60) -> Made:
    """Write manifest, store and model."""
    corpus = write_corpus(folder, num_clips)
    table = corpus.manifest.table.copy()
    table["text"] = [SAID[label] for label in table["emotion"]]
    table["descriptors"] = [DESCRIBED[label] for label in table["emotion"]]
    write_manifest(folder / "m.csv", table)
    language = save_language_model(folder / "language", answers=answers())
    return Made(Corpus(read_manifest(folder / "m.csv"), corpus.store), language)


SMALL = {
    "hidden": 64,
    "width": 16,
    "neighbours": 2,
    "projector_hidden": 64,
    "beta_first": 1e-3,
    "beta_last": 1e-4,
    "stage1_steps": 40,
    "base_dtype": "float32",
    "lora_targets": ("q_proj", "v_proj", "up_proj", "down_proj"),
}


def config_of(made: Made, *, num_steps: int = 80, **section: Any) -> TrainConfig:
    """Return the configuration of a small head of descriptors."""
    head = DescriptorsConfig(**{**SMALL, "language": str(made.language), **section})
    return TrainConfig(
        head="descriptors",
        num_steps=num_steps,
        batch_size=8,
        eval_every=max(num_steps // 2, 1),
        select_by="ce",
        optimiser=OptimiserConfig(learning_rate=1e-2, schedule="constant", ema_decay=0.9),
        heads={"descriptors": replace(head, stage1_learning_rate=1e-2)},
    )


def batch_of(made: Made, config: TrainConfig, rows: Sequence[int]) -> Batch:
    """Return clips as training sees them, with targets, frames not standardised."""
    needs = head_needs("descriptors", config.head_config)
    manifest, store = made.corpus
    features = StoredFeatures(manifest, {"": store}, views_of(needs))
    positions = np.array(rows)
    source = open_source(features, positions, needs, ("text", "descriptors"), device="cpu")
    (batch,) = source.batches([[np.arange(len(rows))]])
    labels = (manifest.table["emotion"].iloc[positions] == CLASSES[1]).to_numpy()
    return replace(batch, targets=torch.eye(2)[torch.from_numpy(labels.astype(int))])


def head_of(made: Made, config: TrainConfig) -> Descriptors:
    """Return an untrained head that knows its classes."""
    needs = head_needs("descriptors", config.head_config)
    features = StoredFeatures(made.corpus.manifest, {"": made.corpus.store}, views_of(needs))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = build_head("descriptors", shapes_of(features, needs), 2, config.head_config)
    head.name_classes(CLASSES)
    assert isinstance(head, Descriptors)
    return head
