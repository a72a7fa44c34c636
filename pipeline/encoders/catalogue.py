"""The encoders by spelling: `extract.encoder` chooses one.

fbank                  log-mel filterbank statistics
opensmile:eGeMAPSv02   88 functionals; opensmile:ComParE_2016 has 6373
anything else          a folder, or a hub id as owner/name@revision, of a pretrained model
"""

from pipeline.encoders import filterbank, functionals, hubert, whisper
from pipeline.encoders.base import COMPUTE_DTYPES, Encoder, Outline, require_allowed
from pipeline.encoders.loading import WHISPER, is_local, load_checkpoint, read_encoder_config
from pipeline.errors import EncoderError


def is_at_hand(spelling: str) -> bool:
    """Say whether an encoder's outline is to be had on this machine without the hub."""
    return _is_built_in(spelling) or is_local(spelling)


def outline_of(spelling: str) -> Outline:
    """Return what is known of an encoder without its weights.

    Args:
        spelling: Value of `extract.encoder`.

    Raises:
        EncoderError: If it is not to be had, or of an unknown kind.
    """
    if spelling == filterbank.SPELLING:
        return filterbank.OUTLINE
    if spelling.startswith(functionals.PREFIX):
        return functionals.outline(spelling)
    config = read_encoder_config(spelling, is_folder=is_local(spelling))
    return whisper.outline(config) if config.model_type == WHISPER else hubert.outline(config)


def open_encoder(spelling: str, *, compute_dtype: str, device: str) -> Encoder:
    """Load an encoder.

    Args:
        spelling: Value of `extract.encoder`.
        compute_dtype: One of `COMPUTE_DTYPES`.
        device: A torch device, e.g. `"cpu"` or `"cuda:0"`; those without weights run on the CPU.

    Raises:
        EncoderError: If it cannot be loaded whole, or does not run so on the device.
    """
    if compute_dtype not in COMPUTE_DTYPES:
        raise EncoderError(
            f"extract.compute_dtype: {compute_dtype!r} is not one of {sorted(COMPUTE_DTYPES)}."
        )
    if _is_built_in(spelling):
        allowed = outline_of(spelling).compute_dtypes
        require_allowed(spelling, "compute_dtype", compute_dtype, allowed)
        if spelling == filterbank.SPELLING:
            return filterbank.FilterbankEncoder()
        return functionals.FunctionalsEncoder(spelling)
    is_folder = is_local(spelling)
    config = read_encoder_config(spelling, is_folder=is_folder)
    if config.model_type == WHISPER:
        return whisper.load_whisper(
            spelling, config, is_folder=is_folder, compute_dtype=compute_dtype, device=device
        )
    checkpoint = load_checkpoint(spelling, config, is_folder=is_folder)
    return hubert.SpeechEncoder(checkpoint, compute_dtype=compute_dtype, device=device)


def _is_built_in(spelling: str) -> bool:
    return spelling == filterbank.SPELLING or spelling.startswith(functionals.PREFIX)
