"""The encoders by spelling: `extract.encoder` chooses one.

fbank                  log-mel filterbank statistics
opensmile:eGeMAPSv02   88 functionals; opensmile:ComParE_2016 has 6373
encodec:, dac:, speechtokenizer:   and a folder or owner/name@commit: a codec, for views of codes
name, or name:rest     an encoder that another package adds by the entry point `genser.encoders`
anything else          a pretrained model, spelled as `pipeline.encoders.hub` says
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pipeline.encoders import (
    dac,
    encodec,
    filterbank,
    functionals,
    hubert,
    speechtokenizer,
    w2v_bert,
    whisper,
)
from pipeline.encoders.base import (
    COMPUTE_DTYPES,
    BlockEncoder,
    Encoder,
    EncoderKind,
    Outline,
    chosen_window,
    require_allowed,
)
from pipeline.encoders.codecs import CodecEncoder
from pipeline.encoders.finetuned import MARK, RECORD, Finetuned, read_finetuned
from pipeline.encoders.hub import is_local
from pipeline.encoders.loading import W2V_BERT, WHISPER, load_checkpoint, read_encoder_config
from pipeline.errors import EncoderError
from pipeline.plugins import plugins

GROUP = "genser.encoders"
OF_MEL_WINDOWS = (WHISPER, *whisper.IN_TOWERS)


class Codec(NamedTuple):
    """A kind of codec: how its outline is had, and how it is loaded on a device."""

    outline: Callable[[str], Outline]
    open: Callable[..., CodecEncoder]


CODECS = {
    encodec.NAME: Codec(encodec.outline, encodec.open_codec),
    dac.NAME: Codec(dac.outline, dac.open_codec),
    speechtokenizer.NAME: Codec(speechtokenizer.outline, speechtokenizer.open_codec),
}


def is_at_hand(spelling: str) -> bool:
    """Say whether an encoder's outline is to be had on this machine without the hub."""
    if _codec(spelling):
        return is_local(spelling.partition(":")[2])
    return _is_built_in(spelling) or _added(spelling) is not None or is_local(spelling)


def outline_of(spelling: str) -> Outline:
    """Return what is known of an encoder without its weights.

    Args:
        spelling: Value of `extract.encoder`.

    Raises:
        EncoderError: If it is not to be had, or of an unknown kind.
        PluginError: If what another package adds cannot be used.
    """
    if spelling == filterbank.SPELLING:
        return filterbank.OUTLINE
    if spelling.startswith(functionals.PREFIX):
        return functionals.outline(spelling)
    if codec := _codec(spelling):
        return codec.outline(spelling)
    if added := _added(spelling):
        # Its way to be opened takes no window.
        return replace(added.outline(spelling), trained_window_s=None)
    config = read_encoder_config(spelling, is_folder=is_local(spelling))
    read = {W2V_BERT: w2v_bert.outline, **dict.fromkeys(OF_MEL_WINDOWS, whisper.outline)}
    return read.get(config.model_type, hubert.outline)(config)


def open_encoder(
    spelling: str, *, compute_dtype: str, device: str, window_s: float | None = None
) -> Encoder:
    """Load an encoder.

    Args:
        spelling: Value of `extract.encoder`.
        compute_dtype: One of `COMPUTE_DTYPES`.
        device: A torch device, e.g. `"cpu"` or `"cuda:0"`; those without weights run on the CPU.
        window_s: Value of `extract.window_s`.

    Raises:
        EncoderError: If it cannot be loaded whole, does not run so on the device, or has no such
            window.
        PluginError: If what another package adds cannot be used.
    """
    if compute_dtype not in COMPUTE_DTYPES:
        raise EncoderError(
            f"extract.compute_dtype: {compute_dtype!r} is not one of {sorted(COMPUTE_DTYPES)}."
        )
    if window_s is not None:
        window_s = chosen_window(spelling, "window_s", window_s, outline_of(spelling))
    added = _added(spelling)
    if added or _is_built_in(spelling):
        allowed = outline_of(spelling).compute_dtypes
        require_allowed(spelling, "compute_dtype", compute_dtype, allowed)
        if added:
            return added.open(spelling, compute_dtype=compute_dtype, device=device)
        if spelling == filterbank.SPELLING:
            return filterbank.FilterbankEncoder()
        return functionals.FunctionalsEncoder(spelling)
    if codec := _codec(spelling):
        require_allowed(spelling, "compute_dtype", compute_dtype, ("float32",))
        return codec.open(spelling, device=device)
    return _open_pretrained(spelling, compute_dtype=compute_dtype, device=device, window_s=window_s)


def _open_pretrained(
    spelling: str, *, compute_dtype: str, device: str, window_s: float | None
) -> BlockEncoder:
    is_folder = is_local(spelling)
    config = read_encoder_config(spelling, is_folder=is_folder)
    finetuned = read_finetuned(Path(spelling)) if is_folder else None
    if not is_folder and hasattr(config, MARK):
        raise EncoderError(
            f"extract.encoder: {spelling} was fine-tuned; download it whole, with {RECORD}, which "
            "names the clips that it has seen, and name the folder."
        )
    encoder: BlockEncoder
    by_features: dict[str, Callable[..., BlockEncoder]] = {
        W2V_BERT: w2v_bert.load_w2v_bert,
        **dict.fromkeys(OF_MEL_WINDOWS, partial(whisper.load_whisper, window_s=window_s)),
    }
    if load := by_features.get(config.model_type):
        encoder = load(
            spelling, config, is_folder=is_folder, compute_dtype=compute_dtype, device=device
        )
    else:
        checkpoint = load_checkpoint(spelling, config, is_folder=is_folder)
        encoder = hubert.SpeechEncoder(checkpoint, compute_dtype=compute_dtype, device=device)
    return encoder if finetuned is None else _with_record(encoder, finetuned, spelling)


def _with_record(encoder: BlockEncoder, finetuned: Finetuned, spelling: str) -> BlockEncoder:
    """Say in an encoder's identity what it was fine-tuned on, once its weights are those told."""
    found, wanted = encoder.identity["weights"], finetuned.record["weights"]
    if found != wanted:
        raise EncoderError(
            f"{spelling}: found weights {found[:12]}, wanted {wanted[:12]} as its {RECORD} says; "
            "restore the folder, or run 'genser finetune' again."
        )
    encoder.identity = {**encoder.identity, "finetuned": finetuned.digest}
    encoder.fit_ids = tuple(finetuned.fit_ids)
    return encoder


def _is_built_in(spelling: str) -> bool:
    return spelling == filterbank.SPELLING or spelling.startswith(functionals.PREFIX)


def _codec(spelling: str) -> Codec | None:
    """Return the kind of codec that a spelling names, if it does."""
    name, colon, _ = spelling.partition(":")
    return CODECS.get(name) if colon else None


def _added(spelling: str) -> EncoderKind | None:
    """Return the encoder of another package that a spelling begins with, if it does."""
    taken = (filterbank.SPELLING, functionals.PREFIX.removesuffix(":"), *CODECS)
    kinds: dict[str, EncoderKind] = plugins(GROUP, kind=EncoderKind, taken=taken)
    return kinds.get(spelling.partition(":")[0])
