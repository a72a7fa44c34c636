"""What the paper of emotion descriptors gives and leaves open, as parameters."""

from dataclasses import dataclass, fields
from typing import ClassVar

from pipeline.errors import ParamsError
from pipeline.heads.language_config import LanguageConfig
from pipeline.heads.phase import LAST
from pipeline.parameters import later
from pipeline.store.views import FRAMES

CROSS_ENTROPY = "ce"  # of the answers on dev
BAG_LOSS = "bag"  # of their words, as bags
TWO, ONE = "two", "one"
BRANCHES = (TWO, ONE)
JOINT = "joint"
STAGES = (TWO, JOINT)
PHASES, BATCHES = "phases", "batches"
ALTERNATE = (PHASES, BATCHES)
PREDICTED, GOLD, WITHOUT = "predicted", "gold", "none"
CONDITIONS = (PREDICTED, GOLD, WITHOUT)

SYSTEM = "You listen to speech. Its emotion is one of: {classes}."


@dataclass(frozen=True, kw_only=True)
class DescriptorsConfig(LanguageConfig):
    """The paper gives the two branches, the two stages and both ends of beta; the rest is ours."""

    section: ClassVar[str] = "train.descriptors"
    view: str = FRAMES  # of frames
    layers: tuple[int, ...] = ()  # positions in the view, summed by learned weights; none reads all
    branches: str = TWO  # content and descriptor; or one of both, which no stage freezes
    shared_layers: bool = False  # whether both branches sum the layers by the content's weights
    bottleneck: bool = True  # whether z is drawn and pressed to N(0, I); without it z is the mean
    hidden: int = 1024  # of each branch's perceptron
    width: int = 256  # Z, of its mean and its variance
    neighbours: int = 5  # frames side by side that become one soft token
    projector_hidden: int = 2048  # of the perceptron into the language model's space
    # How much a bag of the words of answers counts that soft tokens say by themselves; 0: none.
    bag_of_words: float = later(0.0, neutral=0.0)
    bag_steps: int = later(0, neutral=0)  # of it alone, before all stages, without a language model
    bag_batch_size: int = later(32, neutral=32)
    beta_first: float = 1.0  # how much the KL counts as a phase begins
    beta_last: float = 1e-4  # as it ends, log-linear in between; as beta_first: constant
    stages: str = TWO  # content by transcripts, then descriptors; or joint: all at once
    alternate: str = PHASES  # of two stages: one after the other, or batches of each in turn
    rounds: int = 1  # of phases: how often the pair is gone through, each time all its steps
    stage1_steps: int = 1000  # of the content branch; 0 leaves stage 1 out
    stage1_batch_size: int = 8
    stage1_learning_rate: float = 1e-4
    stage1_select_by: str = CROSS_ENTROPY  # on dev; or last
    replay_every: int = 4  # each so many-th batch of stage 2 is stage 1's, for LoRA; 0: none
    describe: bool = True  # whether descriptions are learnt and said before the emotion
    transcribe: bool = True  # whether transcripts are said after it, in stage 2
    max_tokens: int = 128  # of a description or transcript that is learnt; the rest is cut
    lora_targets: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    system: str = SYSTEM  # the system's words; {classes} becomes the classes' words

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in (
            ("branches", BRANCHES),
            ("stages", STAGES),
            ("alternate", ALTERNATE),
            ("stage1_select_by", (CROSS_ENTROPY, LAST)),
        ):
            self.require_one_of(name, allowed)
        for each in fields(self):
            if each.type is int:
                low = 0 if each.name in ("stage1_steps", "replay_every", "bag_steps") else 1
                self.require_at_least(low, each.name)
        self.require_at_least(0, "bag_of_words")
        if self.bag_steps and not self.bag_of_words:
            raise ParamsError(
                f"{self.section}.bag_steps: {self.bag_steps} steps of a loss that counts nothing; "
                f"set {self.section}.bag_of_words above 0, or the steps to 0."
            )
        self.require_above_0("beta_first", "beta_last", "stage1_learning_rate")
        self.require_different("layers")
        if self.rounds > 1 and not self.has_phases:
            raise ParamsError(
                f"{self.section}.rounds: {self.rounds} is of two stages one after the other, found "
                f"stages {self.stages!r} that alternate {self.alternate!r}; set it to 1."
            )
        if self.stages == JOINT and self.alternate == BATCHES:
            raise ParamsError(
                f"{self.section}.alternate: {BATCHES!r} is of two stages, found {JOINT!r}; set "
                f"it to {PHASES!r}."
            )
        if self.stages == TWO and self.alternate == BATCHES and not self.stage1_steps:
            raise ParamsError(
                f"{self.section}.stage1_steps: 0 leaves nothing to alternate with; wanted at least "
                "1."
            )

    @property
    def has_phases(self) -> bool:
        """Whether the stages are phases, one after the other."""
        return self.stages == TWO and self.alternate == PHASES

    @property
    def has_stage1(self) -> bool:
        """Whether the content branch is trained before the descriptor branch."""
        return self.has_phases and self.stage1_steps > 0

    @property
    def learns_transcripts(self) -> bool:
        """Whether texts are read in training."""
        return self.transcribe or self.has_stage1 or not self.has_phases


@dataclass(frozen=True, kw_only=True)
class DescriptorsScoring:
    """How answers become scores."""

    condition: str = PREDICTED  # described before the emotion: by itself, by the manifest, or none
    max_tokens: int = 64  # of a description, or transcript, that it says
    transcribe: bool = False  # whether it also says the transcript, the column `transcript`

    def __post_init__(self) -> None:
        if self.condition not in CONDITIONS:
            raise ParamsError(
                f"score.descriptors.condition: {self.condition!r} is not one of {list(CONDITIONS)}."
            )
        if self.max_tokens < 1:
            raise ParamsError(f"score.descriptors.max_tokens: {self.max_tokens} is below 1.")
