"""What a head reads of a store, and the shape of what it finds there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.parameters import later
from pipeline.quantisation.codebooks import HISTOGRAM, MEANS, POOLED_AS, Codebooks
from pipeline.store.recipe import Recipe
from pipeline.store.views import CODES, FRAMES, LAYERS, TEXT_SOURCE


@dataclass(frozen=True, kw_only=True)
class Need:
    """One view that a head reads.

    Attributes:
        name: Under which the head finds it in a batch.
        kind: `"layers"`, one stack of vectors per clip; or ragged over time, `"frames"` or their
            `"codes"`.
        view: Its name in the store.
        layers: Positions along the view's layers that are read; None reads all.
        standardise: Whether features are standardised; codes never are.
        codes_as: Where layers are read of a view of codes: what each clip's codes become, one of
            `POOLED_AS`.
    """

    name: str
    kind: str
    view: str
    layers: tuple[int, ...] | None = None
    standardise: bool = True
    codes_as: str = MEANS

    def __post_init__(self) -> None:
        assert self.kind in (LAYERS, FRAMES, CODES), self.kind
        assert not (self.kind == CODES and self.standardise), "codes are numbers of centroids"


LAYERS_OF_A_CLIP = Need(name=LAYERS, kind=LAYERS, view=LAYERS)
BESIDE = "beside"  # the name of the need of a dense view that stands beside a clip's layers


@dataclass(frozen=True, kw_only=True)
class LayersInput:
    """Which view a head takes the layers of a clip from, and what beside; part of its section."""

    view: str = LAYERS  # of layers, or of codes
    codes_as: str = MEANS  # of a view of codes: means of its centroids, or histogram
    # another view of layers, whose vectors stand beside, as those of texts; or ""
    beside: str = later("", neutral="")

    def __post_init__(self) -> None:
        if self.codes_as not in POOLED_AS:
            raise ParamsError(f"codes_as: {self.codes_as!r} is not one of {list(POOLED_AS)}.")
        if self.beside == self.view:
            raise ParamsError(
                f"beside: {self.beside!r} is the view of the layers already; name another, or ''."
            )

    @property
    def needs(self) -> tuple[Need, ...]:
        """The view, and the one beside it, as needs."""
        own = Need(name=LAYERS, kind=LAYERS, view=self.view, codes_as=self.codes_as)
        if not self.beside:
            return (own,)
        return (own, Need(name=BESIDE, kind=LAYERS, view=self.beside, codes_as=self.codes_as))


@dataclass(frozen=True, kw_only=True)
class FeatureShape:
    """The shape of stored features and the part that each layer plays.

    Attributes:
        num_layers: L (R of a ragged view).
        dim: D.
        last_layer: The layer that is x1, the encoder's last output, or the deepest there is.
        input_layer: The layer that is the encoder's input; None where there is none.
        num_codes: K of a view of codes, whose centroids are D wide; None of other views.
    """

    num_layers: int
    dim: int
    last_layer: int
    input_layer: int | None
    num_codes: int | None = None

    def condition_layers(self, *, use_input: bool) -> list[int]:
        """Return the layers that precede the last one, with or without the encoder's input."""
        skipped = {self.last_layer} | (set() if use_input else {self.input_layer})
        return [layer for layer in range(self.num_layers) if layer not in skipped]


Shapes = Mapping[str, FeatureShape]


def width_beside(shapes: Shapes) -> int:
    """Return how wide the vector is that stands beside a clip's layers, 0 without one."""
    shape = shapes.get(BESIDE)
    return 0 if shape is None else shape.num_layers * shape.dim


def feature_shape(recipe: Recipe, stored: Sequence[int]) -> FeatureShape:
    """Return the shape of a view's features and the parts that its layers play.

    Args:
        recipe: Of the view.
        stored: The shape of what it keeps: (L, D), or (R,) of codes.

    Raises:
        FeatureStoreError: If the recipe is of neither kind.
    """
    if recipe.get("view") == CODES:
        return FeatureShape(
            num_layers=stored[0],
            dim=int(recipe["dim"]),
            last_layer=stored[0] - 1,
            input_layer=None,
            num_codes=int(recipe["num_codes"]),
        )
    num_layers, dim = stored
    if recipe.get("source") not in ("audio", "table", TEXT_SOURCE):
        raise FeatureStoreError(
            f"recipe: source {recipe.get('source')!r} is not 'audio', 'table' or 'text'."
        )
    if "last_layer" in recipe:
        last = int(recipe["last_layer"])
        return FeatureShape(num_layers=num_layers, dim=dim, last_layer=last, input_layer=None)
    # Encoders without blocks (filterbanks, functionals) have no input of theirs in layer 0.
    has_input = str(recipe.get("layer_convention", "input")).startswith("input")
    kept: Sequence[int] = recipe.get("layers", range(num_layers))
    found = list(kept).index(0) if has_input and 0 in kept else None
    return FeatureShape(
        num_layers=num_layers, dim=dim, last_layer=num_layers - 1, input_layer=found
    )


def pooled_shape(shape: FeatureShape, codes_as: str) -> FeatureShape:
    """Return the shape of the layers that a view of codes becomes."""
    assert shape.num_codes is not None
    dim = shape.num_codes if codes_as == HISTOGRAM else shape.dim
    return replace(shape, dim=dim, num_codes=None)


def adopted(needs: Sequence[Need], codebooks: Mapping[str, Codebooks]) -> dict[str, Codebooks]:
    """Return the codebooks that a head is given: by need of codes, of the layers it reads.

    Args:
        needs: Of the head.
        codebooks: By view.
    """
    return {
        need.name: codebooks[need.view].of_layers(need.layers)
        for need in needs
        if need.kind == CODES
    }


def chosen(shape: FeatureShape, need: Need) -> FeatureShape:
    """Return the shape that a head sees of a view, of the layers that it needs.

    Raises:
        ParamsError: If the view has no such layer.
    """
    if need.layers is None:
        return shape
    strange = [layer for layer in need.layers if not 0 <= layer < shape.num_layers]
    if strange or not need.layers:
        raise ParamsError(
            f"view {need.view!r}: found layers {list(need.layers)} asked for, wanted some of 0 to "
            f"{shape.num_layers - 1}; mend the head's parameters."
        )
    found = need.layers.index(shape.input_layer) if shape.input_layer in need.layers else None
    return replace(
        shape, num_layers=len(need.layers), last_layer=len(need.layers) - 1, input_layer=found
    )
