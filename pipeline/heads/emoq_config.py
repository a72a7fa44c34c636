"""What the EmoQ paper gives and leaves open, as parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from pipeline.errors import ParamsError
from pipeline.evaluation.metrics import SELECTORS
from pipeline.heads.phase import LAST, SAMPLERS
from pipeline.heads.trunk import MOST_BLOCKS
from pipeline.language.loading import BASE_DTYPES, BFLOAT16
from pipeline.store.views import FRAMES

EMOQ, BOTH, AUDIO, TEXT = "emoq", "both", "audio", "text"
INPUTS = (EMOQ, BOTH, AUDIO, TEXT)  # Table 4
MAL_BOTH, FOCAL, SCL, NONE = "both", "focal", "scl", "none"
MALS = (MAL_BOTH, FOCAL, SCL, NONE)  # Table 5
WHOLE_WORD, FIRST_TOKEN = "whole_word", "first_token"
SCORES = (WHOLE_WORD, FIRST_TOKEN)

SYSTEM = "You are an emotion recognition system. Answer with one of: {classes}."


@dataclass(frozen=True, kw_only=True)
class EmoQConfig:
    """The paper gives tau, gamma, lambda, LoRA's dropout and stage 1's batch; the rest is ours."""

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
    language: str = ""  # a causal language model that follows instructions
    base_dtype: str = BFLOAT16  # of its weights: bfloat16, float32, or nf4 on a GPU
    gradient_checkpointing: bool = False  # less memory, a third more time
    lora_rank: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    lora_rate_factor: float = 1.0  # of train.optimiser.learning_rate, for the adapters
    word_weight: float = 5.0  # of an emotion word's tokens in the loss; the end token weighs 1
    words: Mapping[str, str] = field(default_factory=dict)  # of classes by other names
    use_speaker: bool = False  # whether the prompt names the speaker
    system: str = SYSTEM  # the system's words; {classes} becomes the classes' words

    def __post_init__(self) -> None:
        for name, allowed in (
            ("input", INPUTS),
            ("mal", MALS),
            ("stage1_sampler", SAMPLERS),
            ("stage1_select_by", (*SELECTORS, LAST)),
            ("base_dtype", BASE_DTYPES),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ParamsError(f"train.emoq.{name}: {value!r} is not one of {list(allowed)}.")
        for each in fields(self):
            value = getattr(self, each.name)
            low = 0 if each.name in ("stage1_steps", "focal_weight", "gamma", "lora_dropout") else 1
            if each.type is int and value < low:
                raise ParamsError(f"train.emoq.{each.name}: {value} is below {low}.")
        if self.former_blocks > MOST_BLOCKS:
            raise ParamsError(
                f"train.emoq.former_blocks: {self.former_blocks} is above {MOST_BLOCKS}."
            )
        for name in ("temperature", "stage1_learning_rate", "lora_rate_factor", "word_weight"):
            if not getattr(self, name) > 0:
                raise ParamsError(f"train.emoq.{name}: {getattr(self, name)} is not above 0.")
        for name in ("gamma", "focal_weight"):
            if not getattr(self, name) >= 0:
                raise ParamsError(f"train.emoq.{name}: {getattr(self, name)} is below 0.")
        if not 0 <= self.lora_dropout < 1:
            raise ParamsError("train.emoq.lora_dropout: wanted at least 0 and below 1.")
        if len(set(self.layers)) < len(self.layers):
            raise ParamsError(f"train.emoq.layers: {list(self.layers)} names one twice.")

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

    def words_of(self, classes: tuple[str, ...]) -> list[str]:
        """Return the word that stands for each class.

        Raises:
            ParamsError: If a word is for no class, or for two.
        """
        strange = sorted(set(self.words) - set(classes))
        if strange:
            raise ParamsError(
                f"train.emoq.words: names {strange[0]!r}, wanted some of the classes "
                f"{list(classes)}."
            )
        words = [self.words.get(name, name).strip().lower() for name in classes]
        twice = sorted(word for word in set(words) if words.count(word) > 1 or not word)
        if twice:
            raise ParamsError(
                f"train.emoq.words: {twice[0]!r} is for two classes, wanted one each."
            )
        return words


@dataclass(frozen=True, kw_only=True)
class EmoQScoring:
    """How answers become scores."""

    scores: str = WHOLE_WORD  # log p of word and end token, or first_token: of the first alone
    generate: bool = False  # whether it also says a few words of its own, the column `generated`

    def __post_init__(self) -> None:
        if self.scores not in SCORES:
            raise ParamsError(f"score.emoq.scores: {self.scores!r} is not one of {list(SCORES)}.")
