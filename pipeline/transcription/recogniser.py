"""The recognisers by checkpoint: its configuration says how it writes."""

from typing import Any

from pipeline.encoders.base import COMPUTE_DTYPES
from pipeline.encoders.hub import is_local
from pipeline.encoders.loading import fetched
from pipeline.errors import EncoderError
from pipeline.transcription import ctc, seq2seq
from pipeline.transcription.base import MODEL, Recogniser

MAX_NEW_TOKENS = 200


def load_recogniser(
    spelling: str, *, compute_dtype: str, device: str, max_new_tokens: int = MAX_NEW_TOKENS
) -> Recogniser:
    """Load a recogniser: one that writes word by word, or one of letters under CTC.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        compute_dtype: One of `COMPUTE_DTYPES`.
        device: A torch device.
        max_new_tokens: Of a text that is written word by word.

    Raises:
        EncoderError: If it cannot be loaded whole, is of another family, or does not run so on
            the device.
    """
    from transformers import AutoConfig, AutoTokenizer

    if compute_dtype not in COMPUTE_DTYPES:
        raise EncoderError(
            f"transcribe.compute_dtype: {compute_dtype!r} is not one of {sorted(COMPUTE_DTYPES)}."
        )
    if compute_dtype == "float16" and not device.startswith("cuda"):
        raise EncoderError(
            f"transcribe.compute_dtype: 'float16' needs a GPU, the device is {device!r}; use "
            "'bfloat16' or 'float32'."
        )
    is_folder = is_local(spelling)
    config = _fetched(AutoConfig, spelling, is_folder=is_folder)
    family = config.model_type
    if family not in (*seq2seq.FAMILIES, *ctc.FAMILIES):
        raise EncoderError(
            f"{MODEL}: {spelling} is a {family!r} model, wanted one that transcribes: "
            f"{', '.join(seq2seq.FAMILIES)}, or under CTC {', '.join(ctc.FAMILIES)}."
        )
    try:
        tokeniser = _fetched(AutoTokenizer, spelling, is_folder=is_folder)
    except TypeError as error:
        # What transformers raises where a slow tokenizer has no file of its vocabulary.
        raise EncoderError(
            f"{MODEL}: {spelling} has no tokenizer, wanted tokenizer.json or vocab.json; restore "
            "it, or name a checkpoint that was trained to transcribe."
        ) from error
    if family in ctc.FAMILIES:
        return ctc.load_ctc(
            spelling,
            config,
            tokeniser,
            is_folder=is_folder,
            compute_dtype=compute_dtype,
            device=device,
        )
    return seq2seq.load_seq2seq(
        spelling,
        config,
        tokeniser,
        is_folder=is_folder,
        compute_dtype=compute_dtype,
        max_new_tokens=max_new_tokens,
        device=device,
    )


def _fetched(kind: Any, spelling: str, *, is_folder: bool) -> Any:
    # Without the False transformers asks on a terminal whether to run a checkpoint's own code.
    return fetched(kind, spelling, is_folder=is_folder, where=MODEL, trust_remote_code=False)
