"""A small corpus whose frames and texts tell its classes, and a tiny language model."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from helpers.codes import Corpus, write_corpus
from helpers.language import save_language_model
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.heads.phase import OptimiserConfig
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.training.config import TrainConfig

SAID = {
    "calm": ("I am so happy to see you", "They have left"),
    "angry": ("Go away, I hate this", "Go, go away"),
}


class Made(NamedTuple):
    """A corpus with transcripts and the folder of a language model."""

    corpus: Corpus
    language: Path


def make(folder: Path, num_clips: int = 60) -> Made:
    """Write manifest, store and model."""
    corpus = write_corpus(folder, num_clips)
    table = corpus.manifest.table.copy()
    labels = table["emotion"].tolist()
    table["text"] = [SAID[label][i % 3 % 2] for i, label in enumerate(labels)]
    write_manifest(folder / "m.csv", table)
    language = save_language_model(folder / "language", words=("calm", "angry", "peaceful"))
    return Made(Corpus(read_manifest(folder / "m.csv"), corpus.store), language)


SMALL = {
    "num_queries": 3,
    "cross_every": 1,
    "pooling_heads": 2,
    "former_width": 16,
    "former_blocks": 1,
    "former_heads": 2,
    "stage1_steps": 30,
    "base_dtype": "float32",
    "lora_dropout": 0.1,
    "lora_targets": ("q_proj", "v_proj", "up_proj", "down_proj"),
}


def config_of(made: Made, *, num_steps: int = 30, **section: Any) -> TrainConfig:
    """Return the configuration of a small EmoQ."""
    head = EmoQConfig(**{**SMALL, "language": str(made.language), **section})
    return TrainConfig(
        head="emoq",
        num_steps=num_steps,
        batch_size=8,
        eval_every=max(num_steps // 2, 1),
        optimiser=OptimiserConfig(learning_rate=1e-2, schedule="constant", ema_decay=0.9),
        heads={"emoq": replace(head, stage1_learning_rate=5e-3)},
    )
