"""A frozen language model with adapters, as a part of the section of a head that holds one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from pipeline.errors import ParamsError
from pipeline.language.loading import BASE_DTYPES, BFLOAT16


@dataclass(frozen=True, kw_only=True)
class LanguageConfig:
    """Which model it is, its adapters, and the words that stand for the classes."""

    section: ClassVar[str]
    language: str = ""  # a causal language model that follows instructions
    base_dtype: str = BFLOAT16  # of its weights: bfloat16, float32, or nf4 on a GPU
    gradient_checkpointing: bool = False  # less memory, a third more time
    lora_rank: int = 8
    lora_alpha: int = 32
    lora_dropout: float = 0.1
    lora_targets: tuple[str, ...] = ("q_proj", "v_proj")
    lora_rate_factor: float = 1.0  # of train.optimiser.learning_rate, for the adapters
    word_weight: float = 1.0  # of an emotion word's tokens in the loss; others weigh 1
    words: Mapping[str, str] = field(default_factory=dict)  # of classes by other names
    system: str = ""  # the system's words; {classes} becomes the classes' words

    def __post_init__(self) -> None:
        self.require_one_of("base_dtype", BASE_DTYPES)
        self.require_at_least(1, "lora_rank", "lora_alpha")
        self.require_above_0("lora_rate_factor", "word_weight")
        if not 0 <= self.lora_dropout < 1:
            raise ParamsError(f"{self.section}.lora_dropout: wanted at least 0 and below 1.")

    def require_one_of(self, name: str, allowed: Sequence[str]) -> None:
        """Refuse a value that is not allowed.

        Raises:
            ParamsError: Naming those that are.
        """
        value = getattr(self, name)
        if value not in allowed:
            raise ParamsError(f"{self.section}.{name}: {value!r} is not one of {list(allowed)}.")

    def require_at_least(self, low: float, *names: str) -> None:
        """Refuse a number below another.

        Raises:
            ParamsError: Naming the first.
        """
        for name in names:
            if not getattr(self, name) >= low:
                raise ParamsError(f"{self.section}.{name}: {getattr(self, name)} is below {low}.")

    def require_above_0(self, *names: str) -> None:
        """Refuse a number that is not above 0.

        Raises:
            ParamsError: Naming the first.
        """
        for name in names:
            if not getattr(self, name) > 0:
                raise ParamsError(f"{self.section}.{name}: {getattr(self, name)} is not above 0.")

    def require_different(self, name: str) -> None:
        """Refuse a list that names one twice.

        Raises:
            ParamsError: With the list.
        """
        values = getattr(self, name)
        if len(set(values)) < len(values):
            raise ParamsError(f"{self.section}.{name}: {list(values)} names one twice.")

    def words_of(self, classes: tuple[str, ...]) -> list[str]:
        """Return the word that stands for each class.

        Raises:
            ParamsError: If a word is for no class, or for two.
        """
        strange = sorted(set(self.words) - set(classes))
        if strange:
            raise ParamsError(
                f"{self.section}.words: names {strange[0]!r}, wanted some of the classes "
                f"{list(classes)}."
            )
        words = [self.words.get(name, name).strip().lower() for name in classes]
        twice = sorted(word for word in set(words) if words.count(word) > 1 or not word)
        if twice:
            raise ParamsError(
                f"{self.section}.words: {twice[0]!r} is for two classes, wanted one each."
            )
        return words
