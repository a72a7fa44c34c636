"""The parameters of fine-tuning, `finetune` in params.yaml."""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from pipeline.errors import ParamsError
from pipeline.evaluation.concordance import NUMBER_SCORES
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.phase import LAST, OptimiserConfig, Phase
from pipeline.training.optimisation import PRECISIONS
from pipeline.training.targets import TARGETS
from pipeline.training.weighting import BALANCES
from pipeline.typed import require_seed

BLOCKS, LORA = "blocks", "lora"
METHODS = (BLOCKS, LORA)


@dataclass(frozen=True, kw_only=True)
class FinetuneOptimiser(OptimiserConfig):
    """AdamW and what surrounds it; its rate is that of the encoder."""

    section: ClassVar[str] = "finetune.optimiser"
    learning_rate: float = 1e-5  # of the encoder's weights; adapters (lora) want about 1e-4
    beta2: float = 0.999


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Everything about fine-tuning that changes a number."""

    section: ClassVar[str] = "finetune"
    encoder: str = ""  # none yet: folder or owner/name@commit of HuBERT, WavLM, ..., Whisper
    method: str = BLOCKS  # blocks: their weights are trained; lora: adapters beside them, merged
    num_blocks: int = 0  # how many of the last blocks; 0 takes all
    freeze_front: bool = True  # the convolutions and all before the blocks; False wants all blocks
    lora_rank: int = 8
    lora_alpha: float = 16.0  # adapters count alpha / rank
    lora_dropout: float = 0.1  # of what adapters read, in [0, 1)
    lora_targets: tuple[str, ...] = ()  # linear layers of a block; none takes the family's usual
    hidden: int = 256  # units of the classifier's hidden layer
    dropout: float = 0.5  # of those units, in [0, 1)
    head_learning_rate: float = 1e-3  # of pooling and classifier, which start from nothing
    max_s: float = 11.0  # longer clips: a random stretch in training, the middle one on dev
    seed: int = 0  # of weights, shuffles, stretches and dropout
    num_steps: int = 2000  # optimiser steps
    batch_size: int = 32  # clips
    precision: str = "float32"  # of the network: float32 or bfloat16 (autocast)
    targets: str = "label"  # what is learnt: the label, or the shares of the votes
    balance: str = "loss"  # of the classes: none, sampler (drawn alike), loss (counted alike)
    mixup: float = 0.0  # alpha of Beta(alpha, alpha) of waveforms; 0 mixes nothing
    eval_every: int = 100  # steps between looks at dev, each a checkpoint
    # what is kept: the best on dev by ua, wa, wf1, macro_f1; of numbers ccc, pearson, rmse; or last
    select_by: str = "macro_f1"
    patience: int = 0  # looks at dev without a better one before stopping; 0 never stops
    gradient_checkpointing: bool = False  # a third more time, far less memory
    optimiser: FinetuneOptimiser = field(default_factory=FinetuneOptimiser)

    def __post_init__(self) -> None:
        require_seed("finetune.seed", self.seed)
        for name, allowed in (
            ("method", METHODS),
            ("precision", tuple(PRECISIONS)),
            ("targets", TARGETS),
            ("balance", BALANCES),
            ("select_by", (*SELECTORS, *NUMBER_SCORES, LAST)),
        ):
            if getattr(self, name) not in allowed:
                raise ParamsError(
                    f"finetune.{name}: {getattr(self, name)!r} is not one of {list(allowed)}."
                )
        for name, low in (
            ("num_blocks", 0),
            ("lora_rank", 1),
            ("lora_alpha", 0),
            ("hidden", 1),
            ("head_learning_rate", 0),
            ("max_s", 0.5),
            ("num_steps", 1),
            ("batch_size", 1),
            ("mixup", 0),
            ("eval_every", 1),
            ("patience", 0),
        ):
            if getattr(self, name) < low:
                raise ParamsError(f"finetune.{name}: {getattr(self, name)} is below {low}.")
        for name in ("lora_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ParamsError(f"finetune.{name}: wanted at least 0 and below 1.")
        if not self.freeze_front and (self.num_blocks or self.method == LORA):
            raise ParamsError(
                "finetune.freeze_front: False trains the whole encoder, found method "
                f"{self.method!r} and num_blocks {self.num_blocks}; wanted 'blocks' and 0."
            )
        if self.optimiser.learning_rate <= 0:
            raise ParamsError("finetune.optimiser.learning_rate: wanted above 0.")

    @property
    def noise(self) -> float:
        """Recordings get none."""
        return 0.0

    @property
    def pool_shards(self) -> int:
        """Recordings lie in no shards: all clips are shuffled together."""
        return 1

    @property
    def phase(self) -> Phase:
        """The one phase of training."""
        return Phase(
            name=self.section,
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            optimiser=self.optimiser,
            eval_every=self.eval_every,
            select_by=self.select_by,
            patience=self.patience,
        )

    def as_json(self) -> dict[str, Any]:
        """Return what shapes the result; the encoder is known by its weights, not its place."""
        value = asdict(self)
        del value["encoder"]
        return value
