"""The Gen-SER head: classification as transport to a class code (arXiv 2601.20573).

Time as in `pipeline.diffusion.path`: x0, a class's code, at t = 0; x1, the clip's embedding,
at t = 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pipeline.diffusion.codes import CODES, projections, similarities
from pipeline.diffusion.draws import clip_draws, mean_and_scatter
from pipeline.diffusion.path import Schedule
from pipeline.diffusion.sampler import READOUTS, Sample, SamplerConfig, integrate
from pipeline.errors import ParamsError
from pipeline.evaluation.columns import UNCERTAINTY
from pipeline.evaluation.links import LINKS, POWER, SOFTMAX
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch
from pipeline.heads.condition import Condition, ConditionConfig, beside
from pipeline.heads.needs import LayersInput, Shapes, width_beside
from pipeline.heads.phase import Phase
from pipeline.heads.trunk import Trunk, TrunkConfig
from pipeline.parameters import later
from pipeline.store.views import LAYERS


@dataclass(frozen=True, kw_only=True)
class GenSERConfig(LayersInput):
    """What the paper leaves open, and the size of the network."""

    k: float = 10.0  # steepness of the logistic mean, Eq. 6
    sigma: float = 1.0  # spread of the bridge, Eq. 7
    t_min: float = 1e-3  # eps: training times are drawn from [t_min, t_max]
    t_max: float = 1.0  # T
    t_power: float = 3.0  # of the drawn times: 1 uniform (the paper's), above 1 more of them near T
    codes: str = "sinusoidal"  # of the classes: sinusoidal (the paper's), one_hot or hadamard
    dev_num_steps: int = 4  # N of the sampler on dev, for selection and temperature
    dev_draws: int = later(1, neutral=1)  # of the same: its draws, as in score.genser
    dev_draw_noise: float = later(1.0, neutral=1.0)
    # of probabilities: softmax of cosines, or power of the estimate's projections on the codes
    link: str = later(POWER, neutral=SOFTMAX)
    x1_noise: float = later(1.0, neutral=0.0)  # in training x1 + x1_noise z, as draws of scoring
    condition: ConditionConfig = field(default_factory=ConditionConfig)
    trunk: TrunkConfig = field(default_factory=TrunkConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        Schedule(k=self.k, sigma=self.sigma)
        if not 0 <= self.t_min < self.t_max <= 1:
            raise ParamsError(
                f"train.genser: t_min {self.t_min} and t_max {self.t_max} are not "
                "0 <= t_min < t_max <= 1."
            )
        if self.t_power <= 0:
            raise ParamsError(f"train.genser.t_power: {self.t_power} is not above 0.")
        for name in ("dev_num_steps", "dev_draws"):
            if getattr(self, name) < 1:
                raise ParamsError(f"train.genser.{name}: {getattr(self, name)} is below 1.")
        for name in ("dev_draw_noise", "x1_noise"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ParamsError(
                    f"train.genser.{name}: {getattr(self, name)} is not a finite number of at "
                    "least 0."
                )
        if self.link not in LINKS:
            raise ParamsError(f"train.genser.link: {self.link!r} is not one of {list(LINKS)}.")
        if self.codes not in CODES:
            raise ParamsError(f"train.genser.codes: {self.codes!r} is not one of {list(CODES)}.")


class GenSER(Head):
    """Predicts x0 from any point between x1 and x0, and integrates from x1 to classify.

    Where labels are numbers, two codes stand for the ends of their scale, and a number is a point
    on the line between them, as a label of several classes is a mixture of their codes. What
    minimises Eq. 8 is then the point of the mean number, and it is read linearly: by the
    projections of the estimate on both codes. A curve would bend the way that the mean of two
    points takes, so the estimate of an unsure clip would lie off it.

    Attributes:
        codes: One code per class, Eq. 2 or another, shape (C, D).
        condition: What stands beside x_t; in the paper the weighted sum of the layers (2.4).
    """

    takes_numbers = True
    codes: Tensor

    def __init__(self, shapes: Shapes, num_classes: int, config: GenSERConfig) -> None:
        super().__init__()
        shape = shapes[LAYERS]
        self.config = config
        self.shape = shape
        self.link = config.link
        self.schedule = Schedule(k=config.k, sigma=config.sigma)
        self.register_buffer("codes", CODES[config.codes](num_classes, shape.dim), persistent=False)
        self.condition = Condition(shape, config.condition, width_beside(shapes))
        self.trunk = Trunk(shape.dim, config.trunk)

    def estimate(self, xt: Tensor, condition: Tensor, t: Tensor) -> Tensor:
        """Return x0_hat = x_theta(x_t, x_c, t), shape (B, D), float32."""
        x0_hat: Tensor = self.trunk(beside(xt, condition), t)
        return x0_hat.float()

    def loss(
        self, batch: Batch, *, phase: Phase, progress: float, generator: torch.Generator
    ) -> Mapping[str, Tensor]:
        """Return the target-matching loss, Eq. 8: E || x_theta(x_t, X_c, t) - x0 ||^2.

        Summed over the D dimensions, averaged over the batch; t = t_min + (t_max - t_min) u^(1/p)
        with u ~ U(0, 1) and p = `t_power`. A label of several classes has their mixture of codes.
        """
        del phase, progress
        assert batch.targets is not None
        # Not a product of matrices: autocast would round the codes.
        x0 = (batch.targets[:, :, None] * self.codes).sum(1)
        x1 = batch.layers[:, self.shape.last_layer]
        # Drawn on the CPU, so that every device trains on the same draws.
        uniform = torch.rand(len(x0), generator=generator).to(x0.device)
        noise = torch.randn(x0.shape, generator=generator).to(x0.device)
        drawn = uniform if self.config.t_power == 1 else uniform ** (1 / self.config.t_power)
        if self.config.x1_noise:
            about = torch.randn(x1.shape, generator=generator).to(x1.device)
            x1 = x1 + self.config.x1_noise * about
        t = self.config.t_min + (self.config.t_max - self.config.t_min) * drawn
        xt = self.schedule.sample_xt(x0, x1, t, noise)
        error = self.estimate(xt, self.condition(batch.layers, batch.beside), t) - x0
        return {"target": batch.weighted_mean(error.square().sum(-1))}

    def dev_scoring(self) -> SamplerConfig:
        """Return the sampler's defaults, with `dev_num_steps`, `dev_draws` and their noise."""
        return SamplerConfig(
            num_steps=self.config.dev_num_steps,
            draws=self.config.dev_draws,
            draw_noise=self.config.dev_draw_noise,
        )

    def walk(self, batch: Batch, options: SamplerConfig, **kept: Any) -> Sample:
        """Return the walk from each clip's embedding towards a class code (2.6).

        Args:
            batch: The clips.
            options: How to walk.
            kept: `keep_states` and `readouts` of `integrate`.
        """
        x1 = batch.layers[:, self.shape.last_layer]
        return self._walk_from(x1, self._condition(batch), options, **kept)

    def scores_by_readout(self, batch: Batch, options: SamplerConfig) -> dict[str, Tensor]:
        """Return the class scores (B, C) that each readout of the same walk gives."""
        found = self.walk(batch, options, readouts=READOUTS).readouts
        return {name: self._compared(estimate) for name, estimate in found.items()}

    def _condition(self, batch: Batch) -> Tensor:
        condition: Tensor = self.condition(batch.layers, batch.beside)
        return condition

    def _walk_from(
        self, x1: Tensor, condition: Tensor, options: SamplerConfig, **kept: Any
    ) -> Sample:
        return integrate(
            lambda xt, t: self.estimate(xt, condition, t),
            x1,
            self.schedule,
            options,
            t_start=self.config.t_max,
            **kept,
        )

    def drawn_estimate(self, batch: Batch, options: SamplerConfig) -> tuple[Tensor, Tensor | None]:
        """Return the transported embedding, (B, D), the mean of several draws, and their scatter.

        The condition is the clip's own in every draw. Scatter is in units of a code's square: 0
        where all draws agree, and 1 - sum_c p_c^2 where each is a code, shares p_c of class c;
        shape (B,), None of one draw.
        """
        if options.draws == 1:
            return self.walk(batch, options).readout, None
        x1, condition = batch.layers[:, self.shape.last_layer], self._condition(batch)
        assert len(batch.names) == len(x1), "draws are a function of the clips' names"
        mean, scatter = mean_and_scatter(
            lambda start: self._walk_from(start, condition, options).readout,
            x1,
            clip_draws(batch.names, options.draws, self.shape.dim),
            options.draw_noise,
        )
        return mean, scatter / self.codes[0].square().sum()

    def scores(self, batch: Batch, options: SamplerConfig) -> Tensor:
        """Return the cosine of the transported embedding to each class code (2.6), (B, C).

        For the power link, and for numbers, it is its projection on each code, which ranks them
        alike.
        """
        return self.answer(batch, options)[0]

    def extras(self, batch: Batch, options: SamplerConfig) -> Mapping[str, Tensor]:
        """Return the scatter of several draws as `uncertainty`; nothing of one."""
        return self.answer(batch, options)[1]

    def answer(self, batch: Batch, options: SamplerConfig) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Return both from the same draws."""
        estimate, scatter = self.drawn_estimate(batch, options)
        return self._compared(estimate), {} if scatter is None else {UNCERTAINTY: scatter}

    def _compared(self, estimate: Tensor) -> Tensor:
        compare = similarities if self.link == SOFTMAX else projections
        return compare(estimate, self.codes)

    def embedding(self, batch: Batch, options: SamplerConfig) -> Tensor:
        """Return the transported embedding, shape (B, D)."""
        return self.drawn_estimate(batch, options)[0]

    def reweighted(self, scores: Tensor, factors: Tensor, temperature: float) -> Tensor:
        """Multiply the estimate's part along each code, and take the cosines anew.

        The estimate that minimises Eq. 8 is the mean code, sum over c of P(c | x) code_c. Codes are
        orthogonal and of one norm, so a cosine is P(c | x) up to one factor for all classes.
        """
        del temperature
        changed = scores * factors
        length = scores.norm(dim=1, keepdim=True) / changed.norm(dim=1, keepdim=True)
        result: Tensor = changed * length.nan_to_num(1.0)
        return result
