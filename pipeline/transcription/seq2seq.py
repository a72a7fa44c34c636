"""Recognisers that write a text word by word: Whisper, and others of transformers.

Greedy decoding without timestamps. What a checkpoint's `generation_config.json` does not say of
Whisper's prompt is taken from the tokeniser, as OpenAI's own code has it: start, then language and
task where the checkpoint knows several languages, then "no timestamps"; special tokens are never
written.
"""

import copy
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from pipeline.encoders.layer_moments import placed
from pipeline.encoders.loading import WHISPER, fetched, load_model, tensors_digest
from pipeline.encoders.whisper import WINDOW_S
from pipeline.errors import EncoderError
from pipeline.files import fingerprint
from pipeline.transcription.base import MODEL, Recogniser, plain_settings, tidy

FAMILIES = (WHISPER, "moonshine", "speech_to_text", "speech-encoder-decoder")

ENGLISH_ONLY = 51864  # tokens of the Whispers of English; those of several languages have more
SHORTEST_S = 0.1  # for others than Whisper: longer than the first frame of any front end
LONGEST_PROMPT = 4  # start, language, task, no timestamps
START, NO_TIMESTAMPS = "<|startoftranscript|>", "<|notimestamps|>"
TASKS = ("transcribe", "translate")
LANGUAGE = re.compile(r"<\|([a-z]{2,3})\|>")


class Seq2SeqRecogniser(Recogniser):
    """A frozen encoder and decoder.

    Attributes:
        model: The transformers model.
    """

    def __init__(
        self,
        spelling: str,
        model: Any,
        preprocessor: Any,
        tokeniser: Any,
        *,
        weights: str,
        generation: Any,
    ) -> None:
        """Take a model that lies on its device already; `generation` says how it writes."""
        self.model = model
        model.generation_config = generation
        self._preprocessor = preprocessor
        self._tokeniser = tokeniser
        is_whisper = model.config.model_type == WHISPER
        # A window of one length for all: nothing a clip sees depends on its neighbours.
        self._at_once = None if is_whisper else 1
        self.spelling = spelling
        self.identity = {
            "family": model.config.model_type,
            "weights": weights,
            "config": plain_settings(model.config.to_diff_dict()),
            "preprocessor": plain_settings(preprocessor.to_dict()),
            "vocabulary": fingerprint(tokeniser.get_vocab()),
            "writes": _writes(generation),
        }
        self.sample_rate = int(preprocessor.sampling_rate)
        self.min_samples = (
            int(preprocessor.n_fft) if is_whisper else math.ceil(SHORTEST_S * self.sample_rate)
        )
        self.max_window_s = WINDOW_S if is_whisper else None

    @torch.inference_mode()
    def transcribe(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Return what is said in each waveform, the likeliest token after the other."""
        size = self._at_once or len(waveforms)
        texts: list[str] = []
        for start in range(0, len(waveforms), size):
            inputs = self._preprocessor(
                list(waveforms[start : start + size]),
                sampling_rate=self.sample_rate,
                return_tensors="pt",
                return_attention_mask=True,
            )
            moved = {
                name: value.to(self.model.device, self.model.dtype)
                if value.is_floating_point()
                else value.to(self.model.device)
                for name, value in inputs.items()
            }
            with _quiet():
                tokens = self.model.generate(**moved)
            texts += self._tokeniser.batch_decode(tokens.tolist(), skip_special_tokens=True)
        return [tidy(text) for text in texts]


def load_seq2seq(
    spelling: str,
    config: Any,
    tokeniser: Any,
    *,
    is_folder: bool,
    compute_dtype: str,
    max_new_tokens: int,
    device: str,
) -> Seq2SeqRecogniser:
    """Load a recogniser that writes word by word.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        config: Its transformers configuration, of one of `FAMILIES`.
        tokeniser: Its tokeniser.
        is_folder: Whether it is a folder.
        compute_dtype: One of `pipeline.encoders.base.COMPUTE_DTYPES`.
        max_new_tokens: A text ends there, whatever the decoder would go on to write.
        device: A torch device.

    Raises:
        EncoderError: If it cannot be loaded whole, or its files do not fit one another or
            `max_new_tokens`.
    """
    from transformers import AutoFeatureExtractor, AutoModelForSpeechSeq2Seq

    places = getattr(config, "max_target_positions", None)
    if places is not None and max_new_tokens + LONGEST_PROMPT > places:
        raise EncoderError(
            f"transcribe.max_new_tokens: found {max_new_tokens}, {spelling} writes "
            f"{places - LONGEST_PROMPT} at most; take a smaller one."
        )
    preprocessor = fetched(
        AutoFeatureExtractor, spelling, is_folder=is_folder, where=MODEL, trust_remote_code=False
    )
    window = getattr(preprocessor, "chunk_length", WINDOW_S)
    if config.model_type == WHISPER and window != WINDOW_S:
        raise EncoderError(
            f"{MODEL}: {spelling}: its preprocessor_config.json says chunk_length {window:g}, "
            f"wanted {WINDOW_S:g}; take both files from one checkpoint."
        )
    model = load_model(
        spelling, config, is_folder=is_folder, kind=AutoModelForSpeechSeq2Seq, where=MODEL
    )
    generation = copy.deepcopy(model.generation_config)
    if config.model_type == WHISPER:
        _complete(generation, config, tokeniser, spelling)
    generation.update(num_beams=1, do_sample=False, max_new_tokens=max_new_tokens, max_length=None)
    return Seq2SeqRecogniser(
        spelling,
        placed(model, compute_dtype=compute_dtype, device=device),
        preprocessor,
        tokeniser,
        weights=tensors_digest(model.state_dict()),
        generation=generation,
    )


def _complete(generation: Any, config: Any, tokeniser: Any, spelling: str) -> None:
    """Fill in what a Whisper's generation_config lacks, from its tokeniser."""
    vocabulary = tokeniser.get_vocab()
    absent = [mark for mark in (START, NO_TIMESTAMPS) if mark not in vocabulary]
    if absent:
        raise EncoderError(
            f"{MODEL}: {spelling}: its tokenizer has no token {absent[0]!r}, wanted one of "
            "Whisper; take tokenizer.json from the same checkpoint."
        )
    generation.decoder_start_token_id = vocabulary[START]
    generation.no_timestamps_token_id = vocabulary[NO_TIMESTAMPS]
    if not hasattr(generation, "is_multilingual"):
        generation.is_multilingual = config.vocab_size > ENGLISH_ONLY
    if generation.is_multilingual:
        generation.lang_to_id = {
            token: i for token, i in sorted(vocabulary.items()) if LANGUAGE.fullmatch(token)
        }
        generation.task_to_id = {
            task: vocabulary[f"<|{task}|>"] for task in TASKS if f"<|{task}|>" in vocabulary
        }
        generation.task = TASKS[0]
    generation.forced_decoder_ids = None
    generation.return_timestamps = False
    # Languages, tasks and time stamps lie beyond the end token in every Whisper.
    beyond = range(generation.eos_token_id + 1, config.vocab_size)
    generation.suppress_tokens = sorted({*(generation.suppress_tokens or ()), *beyond})


def _writes(generation: Any) -> dict[str, Any]:
    """Return what of a generation configuration changes a text."""
    names = (
        "decoder_start_token_id",
        "eos_token_id",
        "no_timestamps_token_id",
        "is_multilingual",
        "begin_suppress_tokens",
        "suppress_tokens",
    )
    return {name: getattr(generation, name, None) for name in names}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what transformers tells of its own defaults at every call."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
