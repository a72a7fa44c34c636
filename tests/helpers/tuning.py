"""Small encoders of every family to fine-tune, and a corpus whose classes one can hear."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
import torch
from transformers import (
    HubertConfig,
    HubertForCTC,
    Wav2Vec2FeatureExtractor,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from pipeline.encoders.seeded import save_seeded_encoder
from pipeline.finetuning.config import FinetuneConfig, FinetuneOptimiser
from pipeline.finetuning.finetune import Task, finetune
from pipeline.heads.batch import Ragged
from pipeline.manifests.labels import LabelMap
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.progress import Silence
from pipeline.training.loop import Selection

RATE = 16000
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": [16] * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}


def save_small(folder: Path, family: str) -> Path:
    """Save a small encoder of a family; HuBERT and Whisper inside a larger model of their own."""
    if family == "hubert":
        return _save_ctc(folder)
    if family == "whisper":
        return _save_whisper(folder)
    save_seeded_encoder(folder, family=family)
    return folder


def _save_ctc(folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = HubertConfig(
            **SMALL, vocab_size=5, do_stable_layer_norm=True, feat_extract_norm="layer"
        )
        HubertForCTC(config).save_pretrained(folder)
    preprocessor = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
    preprocessor.save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({"a": 0}))
    return folder


def _save_whisper(folder: Path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = WhisperConfig(
            d_model=16,
            encoder_layers=3,
            encoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_layers=1,
            decoder_attention_heads=2,
            decoder_ffn_dim=32,
            vocab_size=12,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=1,
            decoder_start_token_id=2,
        )
        WhisperForConditionalGeneration(config).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=80).save_pretrained(folder)
    return folder


def save_tones(folder: Path, *, num_each: int = 8, seed: int = 0) -> Path:
    """Save clips of low and of high tones in noise, from .3 to .6 s; return their manifest."""
    generator = np.random.default_rng(seed)
    rows = []
    for split, num in (("train", 2 * num_each), ("dev", num_each), ("test", num_each)):
        for i in range(num):
            label = ("low", "high")[i % 2]
            times = np.arange(int(generator.uniform(0.3, 0.6) * RATE)) / RATE
            pitch = generator.uniform(100, 200) if label == "low" else generator.uniform(1500, 3000)
            tone = 0.3 * np.sin(2 * np.pi * pitch * times)
            name = f"{split}_{i}"
            (folder / "audio").mkdir(parents=True, exist_ok=True)
            sound = tone + 0.02 * generator.standard_normal(len(times))
            soundfile.write(folder / "audio" / f"{name}.wav", sound, RATE)
            rows.append(
                {
                    "utterance_id": name,
                    "path": f"{name}.wav",
                    "corpus": "tones",
                    "speaker": split,
                    "split": split,
                    "emotion": label,
                    "octave": f"{np.log2(pitch / 100):.4f}",
                }
            )
    write_manifest(folder / "tones.csv", pd.DataFrame(rows))
    return folder / "tones.csv"


def settings(encoder: Path | str, **values: Any) -> FinetuneConfig:
    """Return a short fine-tuning of the last block."""
    optimiser = FinetuneOptimiser(learning_rate=values.pop("learning_rate", 1e-3))
    base = {"num_blocks": 1, "num_steps": 8, "batch_size": 6, "eval_every": 4, "hidden": 16}
    return FinetuneConfig(encoder=str(encoder), optimiser=optimiser, **{**base, **values})


def tune(
    manifest: Path,
    config: FinetuneConfig,
    out: Path,
    *,
    task: str = "emotion",
    label_map: LabelMap | None = None,
) -> Selection:
    """Fine-tune on a manifest of `save_tones`."""
    given = Task(
        manifest=read_manifest(manifest),
        audio_roots={"": manifest.parent / "audio"},
        name=task,
        label_map=label_map,
        allow_overlap=False,
    )
    return finetune(given, config, out, device="cpu", workers=1, reporter=Silence())


def waveforms(*lengths: int, seed: int = 0) -> Ragged:
    """Return noise of these lengths, padded."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.zeros(len(lengths), max(lengths))
    for row, length in zip(values, lengths, strict=True):
        row[:length] = torch.randn(length, generator=generator)
    return Ragged(values, torch.tensor(lengths))
