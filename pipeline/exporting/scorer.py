"""All that scoring does to the features of a clip, as one module: what an ONNX file holds."""

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.errors import HeadError
from pipeline.evaluation.links import Link, Power, Shares, Softmax
from pipeline.exporting.onnx_files import NUMBERS, PROBABILITIES
from pipeline.heads.batch import BESIDE_NEED, LAYERS_NEED, Batch
from pipeline.heads.saved import TrainedHead
from pipeline.scoring.class_priors import uniform_factors
from pipeline.scoring.loose_files import require_no_groups
from pipeline.scoring.score import ScoreConfig

EXPORTED = ("genser", "twin", "linear", "mlp", "logreg")


class Scorer(nn.Module):
    """Stored features to scores and answers, in float32 whatever `train.precision`.

    Within: standardisers, the choice of layers, the sampler with its steps, `score.prior`, and the
    link to probabilities, or to numbers in units of the labels.
    """

    def __init__(self, trained: TrainedHead, score: ScoreConfig) -> None:
        """Take a head and how it is scored.

        Raises:
            HeadError: If what it does cannot be in one file.
        """
        super().__init__()
        self.options = score.options(trained.record.kind)
        _require_exported(trained, score, self.options)
        self.head = trained.head
        self.standardisers = nn.ModuleDict(dict(trained.standardisers))
        self.link, self.scale = trained.link, trained.record.scale
        self.factors: Tensor | None = None
        if score.prior == "uniform":
            self.factors = torch.from_numpy(uniform_factors(trained)).to(torch.float32)

    @property
    def answers(self) -> str:
        """What is answered: `PROBABILITIES` of classes, or `NUMBERS`."""
        return PROBABILITIES if self.scale is None else NUMBERS

    def forward(self, layers: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return scores (B, C) and probabilities (B, C), or numbers (B,), of clips, float32.

        Args:
            layers: Of the clips, as they are stored, float32, shape (B, L, D).
            beside: The view beside them, where the head reads one, shape (B, L', D').
        """
        views: dict[str, Any] = {LAYERS_NEED: layers}
        if beside is not None:
            views[BESIDE_NEED] = beside
        for need, standardiser in self.standardisers.items():
            views[need] = standardiser(views[need])
        scores = self.head.scores(Batch(views=views), self.options)
        if self.factors is not None:
            assert isinstance(self.link, Softmax)
            scores = self.head.reweighted(scores, self.factors, self.link.temperature)
        if self.scale is None:
            return scores, _probabilities(self.link, scores)
        positions = _positions(self.link, scores)
        return scores, (self.scale.low + (self.scale.high - self.scale.low) * positions).float()


def _probabilities(link: Link, scores: Tensor) -> Tensor:
    """Return what the link's own `probabilities` does, in operations of torch."""
    wide = scores.double()  # a sharp link would show float32's rounding
    if isinstance(link, Power):
        logits = link.exponent * (wide.clamp(min=0) + link.offset).log()
    else:
        assert isinstance(link, Softmax)
        logits = wide / link.temperature
    return logits.softmax(1).float()


def _positions(link: Link, scores: Tensor) -> Tensor:
    """Return what the link's own `positions` does, in operations of torch, float64, shape (B,)."""
    assert isinstance(link, Shares)
    wide = scores.double()
    return link.offset + link.gain * (1 + wide[:, 1] - wide[:, 0]) / 2


def _require_exported(trained: TrainedHead, score: ScoreConfig, options: Any) -> None:
    kind = trained.record.kind
    if kind not in EXPORTED:
        raise HeadError(
            f"a head of kind {kind!r} is not exported, wanted one of {list(EXPORTED)}; score it "
            "with 'genser score' or 'genser predict'."
        )
    require_no_groups(trained)
    if getattr(options, "draws", 1) > 1:
        raise HeadError(
            f"score.{kind}.draws: found {options.draws}, wanted 1: draws are a function of a "
            "clip's name, which an ONNX file does not know."
        )
    if score.prior != "train" and trained.record.scale is not None:
        raise HeadError(
            f"score.prior: {score.prior!r} is for classes, and this head says numbers; set it to "
            "'train'."
        )
    if score.prior != "train" and isinstance(trained.link, Power):
        raise HeadError(
            f"score.prior: found {score.prior!r} with a power link, wanted 'train'; divide the "
            "shares out of the probabilities yourself, they are in head.json."
        )
