"""Recognisers that name a letter for each frame: wav2vec 2.0, HuBERT and their like under CTC.

Greedy decoding: the likeliest token of every frame, equal neighbours joined, blanks dropped (Graves
et al. 2006, section 3.2). The encoder below runs as `pipeline.encoders.hubert` runs it, so padding
changes no frame of a clip.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from pipeline.encoders.base import normalised
from pipeline.encoders.hubert import SpeechEncoder
from pipeline.encoders.loading import NUMERIC_FLAGS, Checkpoint, fetched, load_model, tensors_digest
from pipeline.errors import EncoderError
from pipeline.files import fingerprint
from pipeline.transcription.base import MODEL, Recogniser, tidy

FAMILIES = ("hubert", "wavlm", "wav2vec2", "data2vec-audio")


class CtcRecogniser(Recogniser):
    """A frozen speech encoder with a letter for each frame.

    Attributes:
        encoder: Everything below the letters.
    """

    def __init__(
        self, spelling: str, model: Any, checkpoint: Checkpoint, tokeniser: Any, *, device: str
    ) -> None:
        """Take the model's encoder apart from its letters; `model` lies on the device already."""
        dtype = str(model.dtype).removeprefix("torch.")
        self.encoder = SpeechEncoder(checkpoint, compute_dtype=dtype, device=device)
        self._letters = model.lm_head
        self._tokeniser = tokeniser
        # Marks that are no letters say nothing, as the blank; dropped, they would join neighbours.
        marks = set(tokeniser.all_special_ids) - {_id_of(tokeniser, "word_delimiter_token")}
        self._marks = torch.tensor(sorted(marks))
        self._blank = int(model.config.pad_token_id)
        self.spelling = spelling
        self.identity = {**self.encoder.identity, "vocabulary": fingerprint(tokeniser.get_vocab())}
        self.sample_rate = self.encoder.sample_rate
        self.min_samples = self.encoder.min_samples

    @torch.inference_mode()
    def transcribe(self, waveforms: Sequence[np.ndarray]) -> list[str]:
        """Return what is said in each waveform, letter by letter."""
        lengths = [len(waveform) for waveform in waveforms]
        batch = torch.zeros(len(waveforms), max(lengths))
        for row, waveform in zip(batch, waveforms, strict=True):
            row[: len(waveform)] = torch.from_numpy(
                normalised(
                    waveform,
                    mean=float(waveform.mean(dtype=np.float64)),
                    variance=float(waveform.var(dtype=np.float64)),
                    how=self.encoder.normalisation,
                )
            )
        tokens = self._letters(self.encoder.run(batch, lengths)).argmax(-1).cpu()
        tokens[torch.isin(tokens, self._marks)] = self._blank
        return [
            tidy(self._tokeniser.decode(own[: self.encoder.num_frames(n)].tolist()))
            for own, n in zip(tokens, lengths, strict=True)
        ]


def _id_of(tokeniser: Any, name: str) -> int | None:
    token = getattr(tokeniser, name, None)
    return None if token is None else tokeniser.convert_tokens_to_ids(token)


def load_ctc(
    spelling: str,
    config: Any,
    tokeniser: Any,
    *,
    is_folder: bool,
    compute_dtype: str,
    device: str,
) -> CtcRecogniser:
    """Load a recogniser of letters.

    Args:
        spelling: As `pipeline.encoders.hub` reads it.
        config: Its transformers configuration, of one of `FAMILIES`.
        tokeniser: Its tokeniser.
        is_folder: Whether it is a folder.
        compute_dtype: One of `pipeline.encoders.base.COMPUTE_DTYPES`.
        device: A torch device.

    Raises:
        EncoderError: If it cannot be loaded whole, has adapters over its frames, or its tokeniser
            has more tokens than it.
    """
    from transformers import AutoModelForCTC, Wav2Vec2FeatureExtractor

    if getattr(config, "add_adapter", False):
        raise EncoderError(
            f"{MODEL}: {spelling} joins frames by an adapter (add_adapter), wanted a letter for "
            "each frame; use another checkpoint."
        )
    if max(tokeniser.get_vocab().values()) >= config.vocab_size:
        raise EncoderError(
            f"{MODEL}: {spelling}: its tokenizer has {len(tokeniser)} tokens, the model "
            f"{config.vocab_size}; take both from one checkpoint."
        )
    preprocessor = fetched(Wav2Vec2FeatureExtractor, spelling, is_folder=is_folder, where=MODEL)
    model = load_model(spelling, config, is_folder=is_folder, kind=AutoModelForCTC, where=MODEL)
    digest = tensors_digest(model.state_dict())
    model = model.to(torch.device(device), getattr(torch, compute_dtype)).eval()
    flags = {name: getattr(config, name) for name in NUMERIC_FLAGS if hasattr(config, name)}
    checkpoint = Checkpoint(
        model=model.base_model,
        family=config.model_type,
        weights_digest=digest,
        config={k: list(v) if isinstance(v, tuple) else v for k, v in flags.items()},
        sample_rate=int(preprocessor.sampling_rate),
        normalisation="zscore" if preprocessor.do_normalize else "none",
    )
    return CtcRecogniser(spelling, model, checkpoint, tokeniser, device=device)
