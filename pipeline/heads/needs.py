"""What a head reads of a store, and the shape of what it finds there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import FeatureStoreError, ParamsError
from pipeline.store.recipe import Recipe
from pipeline.store.views import FRAMES, LAYERS


@dataclass(frozen=True, kw_only=True)
class Need:
    """One view that a head reads.

    Attributes:
        name: Under which the head finds it in a batch.
        kind: `"layers"`, one stack of vectors per clip, or `"frames"`, ragged over time.
        view: Its name in the store.
        layers: Positions along the view's layers that are read; None reads all.
        standardise: Whether features are standardised.
    """

    name: str
    kind: str
    view: str
    layers: tuple[int, ...] | None = None
    standardise: bool = True

    def __post_init__(self) -> None:
        assert self.kind in (LAYERS, FRAMES), self.kind


LAYERS_OF_A_CLIP = Need(name=LAYERS, kind=LAYERS, view=LAYERS)


@dataclass(frozen=True, kw_only=True)
class FeatureShape:
    """The shape of stored features and the part that each layer plays.

    Attributes:
        num_layers: L (R of a ragged view).
        dim: D.
        last_layer: The layer that is x1, the encoder's last output, or the deepest there is.
        input_layer: The layer that is the encoder's input; None where there is none.
    """

    num_layers: int
    dim: int
    last_layer: int
    input_layer: int | None

    def condition_layers(self, *, use_input: bool) -> list[int]:
        """Return the layers that precede the last one, with or without the encoder's input."""
        skipped = {self.last_layer} | (set() if use_input else {self.input_layer})
        return [layer for layer in range(self.num_layers) if layer not in skipped]


Shapes = Mapping[str, FeatureShape]


def feature_shape(recipe: Recipe, layers_and_dim: Sequence[int]) -> FeatureShape:
    """Return the shape of a view's features and the parts that its layers play.

    Args:
        recipe: Of the view, extracted or ingested.
        layers_and_dim: (L, D).

    Raises:
        FeatureStoreError: If the recipe is of neither kind.
    """
    num_layers, dim = layers_and_dim
    if recipe.get("source") not in ("audio", "table"):
        raise FeatureStoreError(
            f"recipe: source {recipe.get('source')!r} is not 'audio' or 'table'."
        )
    if "last_layer" in recipe:
        last = int(recipe["last_layer"])
        return FeatureShape(num_layers=num_layers, dim=dim, last_layer=last, input_layer=None)
    # Encoders without blocks (filterbanks, functionals) have no input of theirs in layer 0.
    has_input = str(recipe.get("layer_convention", "input")).startswith("input")
    stored: Sequence[int] = recipe.get("layers", range(num_layers))
    found = list(stored).index(0) if has_input and 0 in stored else None
    return FeatureShape(
        num_layers=num_layers, dim=dim, last_layer=num_layers - 1, input_layer=found
    )


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
    return FeatureShape(
        num_layers=len(need.layers),
        dim=shape.dim,
        last_layer=len(need.layers) - 1,
        input_layer=found,
    )
