"""The section `describe`: what clips are held against, and where levels end."""

from dataclasses import dataclass
from itertools import pairwise

from pipeline.descriptions.slots import NUM_LEVELS
from pipeline.errors import ParamsError

SPEAKER, GENDER, CORPUS = "speaker", "gender", "corpus"
AGAINST = (SPEAKER, GENDER, CORPUS)


@dataclass(frozen=True, kw_only=True)
class DescribeConfig:
    """Everything about descriptors that changes a word."""

    grammar: str = ""  # a YAML file; the English one that genser brings if empty
    templates: int = 0  # of the grammar's sentences, the first so many; 0: all of them
    quantiles: tuple[float, ...] = (0.1, 0.3, 0.7, 0.9)  # of training clips, between five levels
    against: str = SPEAKER  # the closest clips that one is held against: speaker, gender or corpus
    least_clips: int = 8  # of a speaker, a gender or a corpus; fewer are held against more
    max_duration_s: float = 30.0  # longer recordings are refused
    field: str = ""  # of a file of descriptions: which of its texts; found if there is one
    strip_emotion: bool = True  # drop the clauses of a file's descriptions that name an emotion

    def __post_init__(self) -> None:
        cuts = (0.0, *self.quantiles, 1.0)
        if len(self.quantiles) != NUM_LEVELS - 1 or not all(a < b for a, b in pairwise(cuts)):
            raise ParamsError(
                f"describe.quantiles: found {list(self.quantiles)}, wanted {NUM_LEVELS - 1} rising "
                "numbers between 0 and 1, e.g. [0.1, 0.3, 0.7, 0.9]."
            )
        if self.templates < 0:
            raise ParamsError(f"describe.templates: {self.templates} is below 0.")
        if self.against not in AGAINST:
            raise ParamsError(
                f"describe.against: found {self.against!r}, wanted one of {list(AGAINST)}."
            )
        if self.least_clips < NUM_LEVELS:
            raise ParamsError(
                f"describe.least_clips: found {self.least_clips}, wanted at least {NUM_LEVELS}: "
                "fewer clips do not tell five levels."
            )
        if not self.max_duration_s > 0:
            raise ParamsError(
                f"describe.max_duration_s: found {self.max_duration_s}, wanted more than 0."
            )
