"""Everything about extraction that changes a number: the section `extract`, and one view of it.

The flat keys of the section are the defaults of every view; a view may set any of them anew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeline.audio.augmentation import AugmentConfig
from pipeline.encoders.base import COMPUTE_DTYPES
from pipeline.encoders.pooling import MEAN, POOLINGS
from pipeline.errors import ParamsError
from pipeline.names import require_view_name
from pipeline.store.recipe import Recipe
from pipeline.store.views import CODES, FRAMES, LAYERS, copy_name, is_copy_name

STORED_DTYPES = ("float16", "float32")
CODES_DTYPE = "uint16"  # of every view of codes
KINDS = (LAYERS, FRAMES, CODES)
# A frame view's shards are read whole by who streams them, and a clip takes far more of them.
CLIPS_PER_SHARD = {LAYERS: 256, FRAMES: 64, CODES: 256}


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """What one view has of its own; what is None is that of the section."""

    kind: str | None = None  # layers, frames or codes; None: as the view's name, else layers
    encoder: str | None = None
    compute_dtype: str | None = None
    stored_dtype: str | None = None
    pooling: str | None = None  # of layers only
    max_duration_s: float | None = None
    window_s: float | None = None  # with an encoder of its own: not that of the section
    rows_per_shard: int | None = None
    layers: tuple[int, ...] = ()  # of frames only: which are kept; negative counts from the end
    every: int = 1  # of frames only: means of so many frames are stored
    codebooks: int = 0  # of codes only: the first n of the codec's; 0 keeps all


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """Everything about extraction that changes a number."""

    encoder: str = ""  # none yet: folder, owner/name@commit, fbank, or opensmile:<feature set>
    num_layers: int | None = None  # layers it must have (blocks + 1); None takes what it has
    dim: int | None = None  # width it must have; None takes what it has
    compute_dtype: str = "float32"  # of the encoder: float32, bfloat16, or float16 on a GPU
    stored_dtype: str = "float16"  # of the store: float16 or float32
    pooling: str = "mean"  # of layers: mean, or mean_std for means and deviations side by side
    max_duration_s: float = 30.0  # longer clips are cut into equal windows
    window_s: float | None = None  # of Whisper and its like: each clip is padded to it; None: 30 s
    rows_per_shard: int | None = None  # clips: what a kill can cost; None: 256, of frames 64
    views: Mapping[str, ViewConfig] = field(default_factory=lambda: {LAYERS: ViewConfig()})
    copies: int = 0  # augmented copies of each training clip, a view for each; training reads them
    augment: AugmentConfig = field(default_factory=AugmentConfig)  # what is changed in a copy

    def __post_init__(self) -> None:
        _check_values("extract", self)
        if self.copies < 0:
            raise ParamsError(f"extract.copies: {self.copies} is below 0, which makes none.")
        if self.copies and not self.augment.given:
            raise ParamsError(
                f"extract.copies: found {self.copies}, and extract.augment changes nothing; name a "
                "transform there, for instance speed: {low: 0.9, high: 1.1}."
            )
        if not self.views:
            raise ParamsError("extract.views: names no view; name one, or leave the key out.")
        for settings in self.view_settings():
            settings.check()

    def view_settings(self, names: Sequence[str] = ()) -> list["ViewSettings"]:
        """Return what each view takes, in the order of the parameters, its copies behind it.

        Args:
            names: The views wanted, their copies with them; none takes all.

        Raises:
            ParamsError: If one of the names is no view of the parameters.
        """
        absent = [name for name in names if name not in self.views]
        if absent:
            raise ParamsError(
                f"--view {absent[0]}: extract.views has {list(self.views)}; name one of them."
            )
        originals = [
            _settings(self, name, view)
            for name, view in self.views.items()
            if not names or name in names
        ]
        return [
            each.of_copy(copy, self.augment) if copy else each
            for each in originals
            for copy in range(self.copies + 1)
        ]


@dataclass(frozen=True, kw_only=True)
class ViewSettings:
    """What makes one view.

    Attributes:
        name: Of the view in the store.
        kind: `LAYERS`: a clip is (L, D), pooled over its frames; `FRAMES`: it is (T, R, D);
            `CODES`: it is (T, Q).
        encoder: Its spelling.
        num_layers: Layers that it must have; None takes what it has.
        dim: Width that it must have; None takes what it has.
        compute_dtype: Of the encoder.
        stored_dtype: Of the store.
        pooling: Of layers.
        max_duration_s: Longer clips are cut into equal windows: layers are averaged over the
            frames of all, frames and codes put one after another.
        window_s: What the encoder pads each clip to; None: to what it is trained on.
        rows_per_shard: Clips per shard.
        layers: Of frames, the R layers kept, ascending; negative ones count from the end.
        every: Of frames, how many consecutive ones are stored as their mean.
        codebooks: Of codes, how many of the codec's codebooks are kept, the first ones; 0: all.
        copy: Which augmented copy of each training clip; 0: the clips as they are.
        augment: What is changed in a copy.
    """

    name: str = LAYERS
    kind: str = LAYERS
    encoder: str
    num_layers: int | None = None
    dim: int | None = None
    compute_dtype: str
    stored_dtype: str
    pooling: str = MEAN
    max_duration_s: float
    window_s: float | None = None
    rows_per_shard: int = 256
    layers: tuple[int, ...] = ()
    every: int = 1
    codebooks: int = 0
    copy: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    @property
    def is_ragged(self) -> bool:
        """Whether a clip keeps something of each frame."""
        return self.kind != LAYERS

    @property
    def where(self) -> str:
        """The place of the view's parameters, for messages."""
        return f"extract.views.{self.name}"

    def of_copy(self, number: int, augment: AugmentConfig) -> "ViewSettings":
        """Return what makes the view of copies of this number."""
        return replace(self, name=copy_name(self.name, number), copy=number, augment=augment)

    def check(self) -> None:
        """Hold the view to its kind.

        Raises:
            ParamsError: If a value is not allowed, or belongs to another kind.
        """
        require_view_name("extract.views", self.name)
        if is_copy_name(self.name) and not self.copy:
            raise ParamsError(
                f"{self.where}: is a name of augmented copies, which extract.copies makes; choose "
                "another."
            )
        if self.kind not in KINDS:
            raise ParamsError(f"{self.where}.kind: {self.kind!r} is not one of {list(KINDS)}.")
        _check_values(self.where, self)
        if self.every < 1:
            raise ParamsError(f"{self.where}.every: {self.every} is below 1 frame.")
        if self.kind == FRAMES and not self.layers:
            raise ParamsError(
                f"{self.where}.layers: names none, wanted those whose frames are kept, "
                "for instance [-1]."
            )
        if self.kind != FRAMES and (self.layers or self.every != 1):
            raise ParamsError(
                f"{self.where}: has layers or every, which are of kind {FRAMES!r}, found kind "
                f"{self.kind!r}; mend one of them."
            )
        if self.codebooks < 0:
            raise ParamsError(f"{self.where}.codebooks: {self.codebooks} is below 0, which is all.")
        if self.kind != CODES and self.codebooks:
            raise ParamsError(
                f"{self.where}: has codebooks, which are of kind {CODES!r}, found kind "
                f"{self.kind!r}; mend one of them."
            )


def settings_of_recipe(name: str, recipe: Recipe, encoder: str) -> ViewSettings:
    """Return the settings that made a view.

    Args:
        name: Of the view.
        recipe: Its recipe, of source `"audio"`.
        encoder: Spelling of its encoder.
    """
    shared = {
        key: recipe[key]
        for key in (
            "compute_dtype",
            "stored_dtype",
            "pooling",
            "max_duration_s",
            "window_s",
            "every",
            "codebooks",
        )
        if key in recipe
    }
    layers = tuple(recipe.get("layers", ()))
    return ViewSettings(name=name, kind=recipe["view"], encoder=encoder, layers=layers, **shared)


def _settings(config: ExtractConfig, name: str, view: ViewConfig) -> ViewSettings:
    kind = view.kind or (name if name in KINDS else LAYERS)
    if kind in (FRAMES, CODES) and view.pooling is not None:
        raise ParamsError(
            f"extract.views.{name}.pooling: found {view.pooling!r}, {kind} are not pooled; "
            "leave it out."
        )
    if kind == CODES and view.stored_dtype not in (None, CODES_DTYPE):
        raise ParamsError(
            f"extract.views.{name}.stored_dtype: found {view.stored_dtype!r}, codes are stored as "
            f"{CODES_DTYPE}; leave it out."
        )
    keys = ("encoder", "compute_dtype", "stored_dtype", "pooling", "max_duration_s", "window_s")
    own = {key: value for key in keys if (value := getattr(view, key)) is not None}
    shared = {key: getattr(config, key) for key in keys}
    if kind == CODES:
        own["stored_dtype"] = CODES_DTYPE
    # What the section says of its encoder's shape and window is not said of a view's own encoder.
    if view.encoder:
        shared["window_s"] = None
    else:
        shared |= {"num_layers": config.num_layers, "dim": config.dim}
    clips = [view.rows_per_shard, config.rows_per_shard, CLIPS_PER_SHARD.get(kind, 256)]
    return ViewSettings(
        name=name,
        kind=kind,
        rows_per_shard=next(n for n in clips if n is not None),
        layers=view.layers,
        every=view.every,
        codebooks=view.codebooks,
        **{**shared, **own},
    )


def _check_values(where: str, values: ExtractConfig | ViewSettings) -> None:
    is_codes = isinstance(values, ViewSettings) and values.kind == CODES
    for name, allowed in (
        ("compute_dtype", COMPUTE_DTYPES),
        ("stored_dtype", (CODES_DTYPE,) if is_codes else STORED_DTYPES),
        ("pooling", POOLINGS),
    ):
        value = getattr(values, name)
        if value not in allowed:
            raise ParamsError(f"{where}.{name}: {value!r} is not one of {list(allowed)}.")
    if values.max_duration_s < 1:
        raise ParamsError(f"{where}.max_duration_s: {values.max_duration_s} is below 1 second.")
    if values.window_s is not None and values.window_s < 1:
        raise ParamsError(
            f"{where}.window_s: {values.window_s} is below 1 second; set it to more, or leave it "
            "out."
        )
    if values.rows_per_shard is not None and values.rows_per_shard < 1:
        raise ParamsError(f"{where}.rows_per_shard: {values.rows_per_shard} is below 1.")
