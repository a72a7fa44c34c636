"""The text of a loose recording, for a head that reads one: given, or heard by a recogniser."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.audio.outcomes import OK
from pipeline.errors import AudioError, EncoderError, HeadError
from pipeline.extraction.encoding import Decoded
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.texts import GOLD, TEXT
from pipeline.store.views import TEXT_SOURCE
from pipeline.transcription.base import Recogniser
from pipeline.transcription.recogniser import load_recogniser
from pipeline.transcription.transcribe import TranscribeConfig, hear


@dataclass(frozen=True, kw_only=True)
class LooseTexts:
    """Where the texts of loose recordings come from.

    Attributes:
        given: The text of the one recording; None where a recogniser writes it.
        recogniser: Who hears them; None where the text is given.
        config: How.
    """

    given: str | None
    recogniser: Recogniser | None
    config: TranscribeConfig

    @property
    def source(self) -> str:
        """Who wrote the texts, as results call it."""
        return GOLD if self.recogniser is None else self.recogniser.source

    def of(self, decoded: Sequence[Sequence[Decoded]]) -> list[str | AudioError]:
        """Return the text of each recording, or why it has none.

        Args:
            decoded: Each as its listeners hear it, the recogniser last.
        """
        if self.recogniser is None:
            assert self.given is not None
            return [self.given] * len(decoded)
        return [
            told.text if told.outcome == OK else AudioError(told.outcome, told.message)
            for told in hear([each[-1] for each in decoded], self.recogniser, self.config)
        ]


def texts_for_head(
    trained: TrainedHead,
    config: TranscribeConfig,
    *,
    num_files: int,
    text: str | None,
    recogniser: str | None,
    device: str,
) -> LooseTexts | None:
    """Return where a head's texts come from; None where it reads none.

    Args:
        trained: The head.
        config: How a recogniser transcribes; its model is not looked at.
        num_files: How many recordings there are.
        text: The text of the one recording; None where it is to be heard.
        recogniser: Spelling of who hears; None takes the one whose texts the head was trained on.
        device: A torch device.

    Raises:
        HeadError: If the head reads no text and one is named, or if it does not know who hears.
        EncoderError: If the recogniser cannot be loaded.
    """
    named = "--text" if text is not None else "--recogniser" if recogniser is not None else ""
    if TEXT not in trained.head.columns and not _reads_view_of_texts(trained):
        if named:
            raise HeadError(
                f"{named}: this head reads no text, wanted one that does; leave it out."
            )
        return None
    if text is not None:
        if recogniser is not None or num_files > 1:
            found = "--recogniser too" if recogniser is not None else f"{num_files} recordings"
            raise HeadError(f"--text: is the text of one recording, found {found}; leave one out.")
        return LooseTexts(given=text, recogniser=None, config=config)
    source = None
    if recogniser is None:
        source = _only_source(trained)
        recogniser = source.rpartition("@")[0]
    try:
        loaded = load_recogniser(
            recogniser,
            compute_dtype=config.compute_dtype,
            device=device,
            max_new_tokens=config.max_new_tokens,
        )
    except EncoderError as error:
        if source is not None:
            error.add_note("The head was trained on its texts; give --recogniser or --text.")
        raise
    if source not in (None, loaded.source):
        raise HeadError(
            f"{recogniser}: is another recogniser than the one whose texts this head was trained "
            f"on, found {loaded.source} with transcribe.compute_dtype {config.compute_dtype} and "
            f"max_new_tokens {config.max_new_tokens}, wanted {source}; give the parameters that "
            "'genser transcribe' had (--params), restore the recogniser, or name one by "
            "--recogniser."
        )
    return LooseTexts(given=None, recogniser=loaded, config=replace(config, model=recogniser))


def _reads_view_of_texts(trained: TrainedHead) -> bool:
    # Whichever column of a manifest a view was made of, a recording has one text.
    recipes = trained.record.recipes.values()
    return any(recipe.get("source") == TEXT_SOURCE for recipe in recipes)


def _only_source(trained: TrainedHead) -> str:
    sources = list(trained.record.text_sources)
    if len(sources) != 1 or sources == [GOLD]:
        told = ", ".join(sources) or "none"
        raise HeadError(
            f"this head reads text, and was trained on texts of: {told}; wanted one recogniser to "
            "hear the recording; give --recogniser FOLDER or --text TEXT."
        )
    return sources[0]
