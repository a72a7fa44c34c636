"""A trained head, alone or behind its encoder, into an ONNX file."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.encoders.base import normalised
from pipeline.encoders.pooling import pool
from pipeline.errors import HeadError
from pipeline.exporting.listener import Listener
from pipeline.exporting.onnx_files import Example, require_onnx, write_onnx
from pipeline.exporting.scorer import Scorer
from pipeline.extraction.views import OpenView
from pipeline.heads.batch import Batch
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.class_priors import with_prior
from pipeline.scoring.loose_files import LooseView, views_of_head
from pipeline.scoring.score import ScoreConfig
from pipeline.sources.inference import say
from pipeline.store.views import LAYERS

BATCHES = (2, 1, 5)  # clips that a file is tried with; it is traced with the first
SECONDS = (1.0, 0.37, 2.5)  # of the sounds that a file is tried with, where so long are taken
WAVEFORM_TOLERANCE = 1e-4  # an encoder's last bits, many times over where layers hardly differ


def export_scorer(path: Path, trained: TrainedHead, score: ScoreConfig) -> float:
    """Write a head from stored features to scores and answers, for any number of clips.

    The file's inputs are named as the head's needs: `layers`, and `beside` where it has one.

    Args:
        path: Where to.
        trained: The head, on the CPU.
        score: How it scores.

    Returns:
        How far the file is off what genser computes in float32.

    Raises:
        HeadError: If the head cannot be exported, or the file computes something else.
        OutputError: If it cannot be written.
    """
    require_onnx()
    scorer = Scorer(trained, score)
    generator = torch.Generator().manual_seed(0)
    examples = [
        _answered(trained, score, _like_trained_on(trained, num_clips, generator))
        for num_clips in BATCHES
    ]
    batch = torch.export.Dim("batch")
    sizes = {need.name: {0: batch} for need in trained.record.needs}
    told = _metadata(trained, score)
    return write_onnx(path, scorer, sizes, examples, told, answers=scorer.answers)


def export_waveform(
    path: Path, trained: TrainedHead, score: ScoreConfig, *, encoder: str | None = None
) -> float:
    """Write encoder and head from one clip's samples (1, N) to scores and answers.

    What a store rounds to float16 is not rounded in it.

    Args:
        path: Where to.
        trained: The head, on the CPU.
        score: How it scores.
        encoder: Where the encoder is; None takes what the head remembers.

    Returns:
        How far the file is off what genser computes in float32.

    Raises:
        HeadError: If the head cannot be exported, or the file computes something else.
        EncoderError: If the encoder cannot be exported.
        FeatureStoreError: If it is another one than the head's.
        OutputError: If it cannot be written.
    """
    require_onnx()
    scorer = Scorer(trained, score)
    view = _one_view(trained, encoder)
    listener = Listener(view.encoder, view.settings.pooling)
    rate, most = view.encoder.sample_rate, view.settings.max_duration_s
    generator = np.random.default_rng(0)
    scale = min(1.0, most / max(SECONDS)) * rate
    examples = [_heard(trained, score, view, generator, round(s * scale)) for s in SECONDS]
    # Two frames at least: the exporter takes one for a constant.
    samples = torch.export.Dim("samples", min=2 * view.encoder.min_samples, max=int(most * rate))
    told = {"sample_rate": rate, "max_duration_s": most, "encoder": trained.record.encoder}
    return write_onnx(
        path,
        _Both(listener, scorer),
        {"waveform": {1: samples}},
        examples,
        _metadata(trained, score) | told,
        answers=scorer.answers,
        tolerance=WAVEFORM_TOLERANCE,
    )


class _Both(nn.Module):
    def __init__(self, listener: Listener, scorer: Scorer) -> None:
        super().__init__()
        self.listener, self.scorer = listener, scorer

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        answer: tuple[Tensor, Tensor] = self.scorer(self.listener(waveform))
        return answer


def _one_view(trained: TrainedHead, encoder: str | None) -> OpenView:
    needs = trained.record.needs
    views = views_of_head(trained, encoder, "cpu") if len(needs) == 1 else []
    made_of = [v.made_of for v in views if isinstance(v, LooseView) and v.codebooks is None]
    if made_of and made_of[0].settings.kind == LAYERS:
        return made_of[0]
    raise HeadError(
        f"this head reads {[need.view for need in needs]}, and only the layers of one encoder can "
        "be in a file with it; export the head alone, with --onnx."
    )


def _like_trained_on(
    trained: TrainedHead, num_clips: int, generator: torch.Generator
) -> dict[str, np.ndarray]:
    """Draw features as far from each other as those that the head was trained on."""
    features = {}
    for need, shape in trained.record.shapes.items():
        x = torch.randn(num_clips, shape.num_layers, shape.dim, generator=generator)
        if need in trained.standardisers:
            one = trained.standardisers[need]
            scale = one.inverse_deviation
            x = one.mean + x / scale.masked_fill(scale == 0, 1)
        features[need] = x.float().numpy()
    return features


def _answered(
    trained: TrainedHead,
    score: ScoreConfig,
    features: Mapping[str, np.ndarray],
    inputs: Mapping[str, np.ndarray] | None = None,
) -> Example:
    """Score features as `genser score` does, in float32; `inputs` if they are others."""
    views: dict[str, Any] = {}
    for need, values in features.items():
        one = trained.standardisers.get(need)
        x = torch.from_numpy(values)
        views[need] = x if one is None else one(x)
    options = score.options(trained.record.kind)
    said, _ = say(
        trained.head,
        Batch(views=views),
        options,
        device="cpu",
        precision="float32",
        with_extras=False,
    )
    scores = with_prior(trained, said, score.prior)
    return Example(
        inputs=features if inputs is None else inputs,
        scores=scores,
        answers=trained.probabilities(scores)
        if trained.record.scale is None
        else trained.numbers(scores),
    )


def _heard(
    trained: TrainedHead,
    score: ScoreConfig,
    view: OpenView,
    generator: np.random.Generator,
    num_samples: int,
) -> Example:
    """Score a made-up sound as `genser predict` does, but for what a store rounds."""
    times = np.arange(num_samples) / view.encoder.sample_rate
    tone = np.sin(2 * np.pi * generator.uniform(100, 300) * times)
    sound = (0.2 * tone + 0.05 * generator.standard_normal(num_samples)).astype(np.float32)
    wanted = normalised(
        sound,
        mean=float(sound.mean(dtype=np.float64)),
        variance=float(sound.var(dtype=np.float64)),
        how=view.encoder.normalisation,
    )
    moments = view.encoder.encode([wanted])[0].moments
    assert moments is not None
    layers = pool(moments, view.settings.pooling)[None].numpy()
    need: Sequence[str] = [one.name for one in trained.record.needs]
    return _answered(trained, score, {need[0]: layers}, {"waveform": sound[None]})


def _metadata(trained: TrainedHead, score: ScoreConfig) -> dict[str, Any]:
    record = trained.record
    return {
        "genser": version("genser"),
        "head": trained.digest,
        "head_kind": record.kind,
        "task": record.task,
        **(
            {"classes": list(record.classes)}
            if record.scale is None
            else {"scale": asdict(record.scale)}
        ),
        "score": score.stamps(record.kind),
    }
