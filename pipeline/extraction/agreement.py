"""A view's settings and its encoder, held to one another before anything is computed."""

import dataclasses

from pipeline.encoders.base import Outline, chosen_window, require_allowed
from pipeline.errors import EncoderError
from pipeline.extraction.settings import ViewSettings
from pipeline.store.views import CODES, FRAMES, LAYERS


def check_settings(outline: Outline, settings: ViewSettings) -> ViewSettings:
    """Hold an encoder and a view's settings to one another.

    Returns:
        The settings with absolute layers, the number of codebooks, and a window only where it is
        not the encoder's own.

    Raises:
        EncoderError: If they do not fit one another.
    """
    where = "" if settings.name == LAYERS else f"views.{settings.name}."
    name = settings.encoder
    for key, found in (("num_layers", outline.num_layers), ("dim", outline.dim)):
        wanted = getattr(settings, key)
        if wanted not in (None, found):
            raise EncoderError(
                f"extract.{key}: the encoder {name} has {found}, wanted {wanted}; mend one of them."
            )
    require_allowed(name, f"{where}compute_dtype", settings.compute_dtype, outline.compute_dtypes)
    _require_kind(outline, settings)
    if settings.kind == LAYERS:
        require_allowed(name, f"{where}pooling", settings.pooling, outline.poolings)
    window_s = chosen_window(name, f"{where}window_s", settings.window_s, outline)
    limit = outline.max_window_s if window_s is None else window_s
    if limit is not None and settings.max_duration_s > limit:
        raise EncoderError(
            f"extract.{where}max_duration_s: the encoder {name} takes {limit:g} seconds at "
            f"once, found {settings.max_duration_s:g}; longer clips are cut, set it to {limit:g}."
        )
    codebooks = settings.codebooks
    if settings.kind == CODES:
        codebooks = codebooks or outline.num_layers
        if codebooks > outline.num_layers:
            raise EncoderError(
                f"{settings.where}.codebooks: found {codebooks}, the codec {name} has "
                f"{outline.num_layers}; name so many at most, or 0 for all."
            )
    layers = _absolute(settings, outline.num_layers)
    return dataclasses.replace(settings, layers=layers, codebooks=codebooks, window_s=window_s)


def _require_kind(outline: Outline, settings: ViewSettings) -> None:
    """Refuse a view of what its encoder does not give."""
    name = settings.encoder
    if settings.kind == CODES and outline.num_codes is None:
        raise EncoderError(
            f"{settings.where}: the encoder {name} gives no codes; give the view "
            "a codec (encodec:, dac:, speechtokenizer:), or code its frames by 'genser tokenise'."
        )
    if settings.kind != CODES and outline.num_codes is not None:
        raise EncoderError(
            f"{settings.where}: the codec {name} gives codes alone, found kind {settings.kind!r}; "
            f"set kind: {CODES}, or give the view another encoder."
        )
    if settings.kind == FRAMES and outline.frames_per_s is None:
        raise EncoderError(
            f"{settings.where}: the encoder {name} gives no frames, only features of a whole clip; "
            "leave the view out, or give it another encoder."
        )


def _absolute(settings: ViewSettings, num_layers: int) -> tuple[int, ...]:
    beyond = [k for k in settings.layers if not -num_layers <= k < num_layers]
    layers = tuple(k % num_layers for k in settings.layers)
    if beyond or list(layers) != sorted(set(layers)):
        raise EncoderError(
            f"{settings.where}.layers: found {list(settings.layers)}, the encoder "
            f"{settings.encoder} has layers 0 to {num_layers - 1} (-{num_layers} to -1); name "
            "different ones of them in ascending order."
        )
    return layers
