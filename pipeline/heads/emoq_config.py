"""What the EmoQ paper gives and leaves open, as parameters."""

from dataclasses import dataclass, fields
from typing import ClassVar

from pipeline.errors import ParamsError
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.language_config import LanguageConfig
from pipeline.heads.phase import LAST, SAMPLERS
from pipeline.heads.trunk import MOST_BLOCKS
from pipeline.store.views import FRAMES

EMOQ, BOTH, AUDIO, TEXT = "emoq", "both", "audio", "text"
INPUTS = (EMOQ, BOTH, AUDIO, TEXT)  # Table 4
MAL_BOTH, FOCAL, SCL, NONE = "both", "focal", "scl", "none"
MALS = (MAL_BOTH, FOCAL, SCL, NONE)  # Table 5
WHOLE_WORD, FIRST_TOKEN = "whole_word", "first_token"
SCORES = (WHOLE_WORD, FIRST_TOKEN)

SYSTEM = "You are an emotion recognition system. Answer with one of: {classes}."


@dataclass(frozen=True, kw_only=True)
class EmoQConfig(LanguageConfig):
    """The paper gives tau, gamma, lambda, LoRA's dropout and stage 1's batch; the rest is ours."""

    section: ClassVar[str] = "train.emoq"
    input: str = EMOQ  # emoq, both: audio pooled without queries, audio alone, or text alone
    view: str = FRAMES  # of frames
    layers: tuple[int, ...] = ()  # positions in the view, summed by learned weights; none reads all
    former: str = ""  # a BERT-like checkpoint that it begins from; "" begins at random
    num_queries: int = 32  # learned queries
    cross_every: int = 2  # queries look at frames in every so many blocks
    pooling_heads: int = 4  # of attentive pooling over queries
    former_width: int = 256  # of one that begins at random, and of pooled audio
    former_blocks: int = 4  # of one that begins at random
    former_heads: int = 4  # of one that begins at random
    mal: str = MAL_BOTH  # stage 1's loss: both, focal, scl (contrastive), or none: cross-entropy
    temperature: float = 0.07  # tau of the contrastive loss
    gamma: float = 2.0  # of the focal loss
    focal_weight: float = 1.0  # lambda
    stage1_steps: int = 1000  # of the former alone; 0 leaves stage 1 out
    stage1_batch_size: int = 8
    stage1_learning_rate: float = 1e-4
    stage1_sampler: str = "pairs"  # even, pairs of one class, or balanced: pairs, classes alike
    stage1_select_by: str = "ua"  # on dev, of the auxiliary classifier; or last
    word_weight: float = 5.0  # of an emotion word's tokens in the loss; the end token weighs 1
    use_speaker: bool = False  # whether the prompt names the speaker
    system: str = SYSTEM  # the system's words; {classes} becomes the classes' words

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("input", INPUTS),
            ("mal", MALS),
            ("stage1_sampler", SAMPLERS),
            ("stage1_select_by", (*SELECTORS, LAST)),
        ):
            self.require_one_of(name, allowed)
        for each in fields(self):
            if each.type is int:
                self.require_at_least(0 if each.name == "stage1_steps" else 1, each.name)
        if self.former_blocks > MOST_BLOCKS:
            raise ParamsError(
                f"train.emoq.former_blocks: {self.former_blocks} is above {MOST_BLOCKS}."
            )
        self.require_above_0("temperature", "stage1_learning_rate")
        self.require_at_least(0, "gamma", "focal_weight")
        self.require_different("layers")

    @property
    def hears(self) -> bool:
        """Whether it reads frames."""
        return self.input != TEXT

    @property
    def reads(self) -> bool:
        """Whether it reads transcripts."""
        return self.input != AUDIO

    @property
    def has_former(self) -> bool:
        """Whether queries stand between frames and the language model."""
        return self.input in (EMOQ, AUDIO)

    @property
    def has_stage1(self) -> bool:
        """Whether the former is trained before the language model sees it."""
        return self.has_former and self.stage1_steps > 0


@dataclass(frozen=True, kw_only=True)
class EmoQScoring:
    """How answers become scores."""

    scores: str = WHOLE_WORD  # log p of word and end token, or first_token: of the first alone
    generate: bool = False  # whether it also says a few words of its own, the column `generated`

    def __post_init__(self) -> None:
        if self.scores not in SCORES:
            raise ParamsError(f"score.emoq.scores: {self.scores!r} is not one of {list(SCORES)}.")
