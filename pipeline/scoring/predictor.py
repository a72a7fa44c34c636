"""A trained head on loose clips, many at once: the same decoding and encoding as extraction.

Clips of like length share a batch, in the encoder and in the head, so what one clip is said to be
differs from what it alone is said to be by the last bits only.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from pipeline.audio.segments import Segment
from pipeline.errors import AudioError
from pipeline.extraction.encoding import Decoded, Listener
from pipeline.extraction.shards import make_features
from pipeline.extraction.views import pass_key
from pipeline.files import fingerprint
from pipeline.heads.saved import TrainedHead
from pipeline.manifests.texts import TEXT
from pipeline.scoring.class_priors import with_prior
from pipeline.scoring.loose_clips import LooseClip, LoosePrediction
from pipeline.scoring.loose_files import LooseView
from pipeline.scoring.loose_text_views import LooseTextView
from pipeline.scoring.loose_texts import LooseTexts
from pipeline.scoring.score import ScoreConfig
from pipeline.sources.inference import score_source
from pipeline.sources.loose import LooseFeatures, LooseSource

AT_ONCE = 32  # clips of a piece at least; what a kill can cost

Found = Mapping[str, np.ndarray] | AudioError  # the views of a clip, or why it has none


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """A head with everything that it takes to hear a recording.

    Attributes:
        trained: The head.
        views: From `pipeline.scoring.loose_files.views_of_head`.
        score: How to score.
        device: A torch device.
        texts: Where the texts come from; None for a head that reads none.
        batch_seconds: Audio per batch, padding included.
    """

    trained: TrainedHead
    views: Sequence[LooseView | LooseTextView]
    score: ScoreConfig
    device: str
    texts: LooseTexts | None = None
    batch_seconds: float = 32.0

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a prediction depends on beside the recording, plain JSON values."""
        texts = self.texts and {
            "given": self.texts.given,
            "source": self.texts.source,
            "max_new_tokens": self.texts.config.max_new_tokens,
            "max_duration_s": self.texts.config.max_duration_s,
        }
        return {
            "head": self.trained.digest,
            "score": self.score.as_json(self.trained.record.kind),
            "texts": texts,
        }

    def pieces(self, clips: Iterable[LooseClip], pool: Executor) -> Iterator[list[LoosePrediction]]:
        """Yield what the head says of clips, piece after piece; the next is decoded meanwhile."""
        clips = iter(clips)
        piece, ahead = self._submit(clips, pool)
        while piece:
            current, decoding = piece, ahead
            piece, ahead = self._submit(clips, pool)
            yield self.predict(current, [future.result() for future in decoding])

    def predict(
        self, clips: Sequence[LooseClip], decoded: Sequence[Sequence[Decoded]]
    ) -> list[LoosePrediction]:
        """Return what the head says of each clip; one that cannot be used has its error instead.

        Args:
            clips: The clips.
            decoded: Each as the `listeners` hear it.
        """
        texts: list[str | AudioError | None] = [None] * len(clips)
        if self.texts is not None:
            texts = [*self.texts.of(decoded)]
        found = self._features([clip.place for clip in clips], decoded, texts)
        usable = [i for i, views in enumerate(found) if not isinstance(views, AudioError)]
        said = self._say([(clips[i].name, found[i], texts[i]) for i in usable])
        results = []
        for i, clip in enumerate(clips):
            heard = decoded[i][0] if decoded[i] else None
            about: dict[str, Any] = {
                "place": clip.place,
                "file_digest": heard.file_digest if heard else "",
                "duration": heard.clip.duration if heard and heard.clip else 0.0,
            }
            error = found[i]
            if isinstance(error, AudioError):
                told = f"{error.outcome}: {error}"
                results.append(LoosePrediction(probabilities={}, error=told, **about))
                continue
            text = texts[i]
            assert not isinstance(text, AudioError)
            results.append(LoosePrediction(text=text, **next(said), **about))
        return results

    @cached_property
    def listeners(self) -> list[tuple[Listener, float]]:
        """Who hears a clip, and the seconds that each takes at once; a recogniser comes last."""
        listeners: list[tuple[Listener, float]] = [
            (views[0].made_of.encoder, views[0].made_of.settings.max_duration_s)
            for views in self._passes
        ]
        if self.texts is not None and self.texts.recogniser is not None:
            listeners.append((self.texts.recogniser, self.texts.config.max_duration_s))
        return listeners

    @cached_property
    def _passes(self) -> list[list[LooseView]]:
        """The views of recordings, those together that share a pass over the audio."""
        passes: dict[Any, list[LooseView]] = {}
        for view in self.views:
            if isinstance(view, LooseView):
                passes.setdefault(pass_key(view.made_of), []).append(view)
        return list(passes.values())

    def _submit(
        self, clips: Iterator[LooseClip], pool: Executor
    ) -> tuple[list[LooseClip], list[Future[list[Decoded]]]]:
        # A GPU that takes long batches wants pieces that fill them.
        piece = list(islice(clips, max(AT_ONCE, round(self.batch_seconds))))
        return piece, [pool.submit(clip.decode, self.listeners) for clip in piece]

    def _features(
        self,
        places: Sequence[Segment],
        decoded: Sequence[Sequence[Decoded]],
        texts: Sequence[str | AudioError | None],
    ) -> list[Found]:
        """Return the views of each clip, or the first thing that is wrong with it."""
        views: list[dict[str, np.ndarray]] = [{} for _ in places]
        errors = {i: text for i, text in enumerate(texts) if isinstance(text, AudioError)}
        for view in self.views:
            if isinstance(view, LooseTextView):
                for i in set(range(len(places))) - set(errors):
                    try:
                        views[i][view.name] = view.features(str(texts[i] or ""))
                    except AudioError as error:
                        errors[i] = error
        for number, mine in enumerate(self._passes):
            made = make_features(
                places,
                [each[number] for each in decoded],
                [view.made_of for view in mine],
                self.batch_seconds,
            )
            for view, one in zip(mine, made, strict=True):
                errors = {**one.errors, **errors}
                for i, own in enumerate(one.features):
                    if own is not None:
                        codebooks = view.codebooks
                        views[i][view.name] = own if codebooks is None else codebooks.assign(own)
        return [errors.get(i) or mine for i, mine in enumerate(views)]

    def _say(self, clips: Sequence[tuple[str, Any, Any]]) -> Iterator[dict[str, Any]]:
        """Yield what the head says of clips: its part of a `LoosePrediction`, by field."""
        if not clips:
            return
        trained = self.trained
        others = dict.fromkeys(trained.head.columns, "")
        source = LooseSource(
            [
                LooseFeatures(
                    name=name, views=views, texts=others | ({} if text is None else {TEXT: text})
                )
                for name, views, text in clips
            ],
            trained.record.needs,
            trained.standardisers,
            codebooks=trained.codebooks,
            device=self.device,
        )
        said = score_source(
            trained.head,
            source,
            self.score.options(trained.record.kind),
            device=self.device,
            precision=trained.record.precision,
            with_extras=True,
        )
        scores = with_prior(trained, said.scores, self.score.prior)
        says_numbers = trained.record.scale is not None
        values = trained.numbers(scores) if says_numbers else trained.probabilities(scores)
        for i, told in enumerate(np.asarray(values).tolist()):
            named = {} if says_numbers else dict(zip(trained.classes, told, strict=True))
            yield {
                "probabilities": named,
                "number": told if says_numbers else None,
                "extras": {name: _plain(value[i]) for name, value in said.extras.items()},
            }


def made_by(*parts: object) -> str:
    """Return twelve digits that tell what a table's rows were made by from anything else."""
    return fingerprint(list(parts))[:12]


def _plain(value: Any) -> str | float:
    return value if isinstance(value, str) else float(value)
