"""What a language model says after a prompt: the loss of an answer, and scores of several.

Prompts begin alike, so that beginning is run once for a batch and its keys and values are shared;
the numbers are those of whole prompts. Clips are padded on the right, where causal attention looks
last, and positions count own tokens alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.language.loading import LanguageModel
from pipeline.language.prompt import Soft


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Prompts of several clips.

    Attributes:
        shared: Token ids that all begin with.
        own: What each adds, with places of soft tokens.
        soft: By the name of the place: vectors of each clip, shape (S, D), S its own.
    """

    shared: Sequence[int]
    own: Sequence[Sequence[int | Soft]]
    soft: Mapping[str, Sequence[Tensor]]

    def chosen(self, clips: Sequence[int]) -> "Prompts":
        """Return the prompts of some clips, in this order."""
        soft = {name: [vectors[i] for i in clips] for name, vectors in self.soft.items()}
        return Prompts(shared=self.shared, own=[self.own[i] for i in clips], soft=soft)

    def going_on(self, said: Sequence[Sequence[int]]) -> "Prompts":
        """Return the prompts with the tokens of answers that have begun."""
        own = [[*mine, *more] for mine, more in zip(self.own, said, strict=True)]
        return Prompts(shared=self.shared, own=own, soft=self.soft)


def answer_losses(
    model: LanguageModel,
    prompts: Prompts,
    answers: Sequence[Sequence[int]],
    weights: Sequence[Sequence[float]],
) -> tuple[Tensor, Tensor]:
    """Return sum_t w_t CE_t and sum_t w_t of each clip's answer, float32, each of shape (B,).

    Their ratio is EmoQ's token-weighted loss (2509.15775); prompts weigh nothing.

    Args:
        model: The model.
        prompts: Of B clips.
        answers: Token ids of each clip's answer.
        weights: Of each of those tokens.
    """
    whole = prompts.going_on([answer[:-1] for answer in answers])
    embedded = _embedded(model, whole)
    hidden, _ = _run(model, whole.shared, embedded, keep_cache=False)
    clips = [i for i, answer in enumerate(answers) for _ in answer]
    ends = embedded.lengths.tolist()
    places = [
        ends[i] - len(answer) + t for i, answer in enumerate(answers) for t in range(len(answer))
    ]
    logits = model.logits(hidden[clips, places])
    device = logits.device
    wanted = torch.tensor([token for answer in answers for token in answer], device=device)
    losses = functional.cross_entropy(logits, wanted, reduction="none")
    weigh = torch.tensor([w for mine in weights for w in mine], device=device)
    return weighted_by_clip(losses, weigh, torch.tensor(clips, device=device), len(answers))


def weighted_by_clip(
    losses: Tensor, weights: Tensor, clips: Tensor, num_clips: int
) -> tuple[Tensor, Tensor]:
    """Return sum_t w_t CE_t and sum_t w_t of each clip's answer, float32, each of shape (B,).

    Args:
        losses: CE of the tokens of all answers, shape (T,).
        weights: Their w.
        clips: Whose answer each is of.
        num_clips: B.
    """
    zeros = torch.zeros(num_clips, device=losses.device)
    return zeros.index_add(0, clips, losses * weights), zeros.index_add(0, clips, weights)


@dataclass(frozen=True)
class _Embedded:
    """Own parts of prompts as vectors (B, T, D), padded on the right, and their lengths (B,)."""

    vectors: Tensor
    lengths: Tensor

    @property
    def mask(self) -> Tensor:
        places = torch.arange(self.vectors.shape[1], device=self.vectors.device)
        return places[None] < self.lengths[:, None]


def _embedded(model: LanguageModel, prompts: Prompts) -> _Embedded:
    rows: list[list[int]] = []
    places: list[tuple[int, int]] = []
    soft: list[Tensor] = []
    for clip, mine in enumerate(prompts.own):
        row: list[int] = []
        for piece in mine:
            if isinstance(piece, Soft):
                soft.append(prompts.soft[piece.name][clip])
                places += [(clip, len(row) + s) for s in range(len(soft[-1]))]
                row += [0] * len(soft[-1])
            else:
                row.append(piece)
        rows.append(row)
    padded = _padded(model, rows)
    if not places:
        return padded
    vectors = padded.vectors
    where = torch.tensor(places, device=vectors.device).T
    vectors = vectors.index_put((where[0], where[1]), torch.cat(soft).to(vectors.dtype))
    return _Embedded(vectors, padded.lengths)


def _padded(model: LanguageModel, rows: Sequence[Sequence[int]]) -> _Embedded:
    device = model.embeddings.weight.device
    lengths = torch.tensor([len(row) for row in rows], device=device)
    longest = int(lengths.max())
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows], device=device)
    return _Embedded(model.embeddings(ids), lengths)


def _run(
    model: LanguageModel, shared: Sequence[int], own: _Embedded, *, keep_cache: bool
) -> tuple[Tensor, Any]:
    """Return the last hidden states (B, T, D) of own parts, and keys and values of all so far."""
    from transformers import DynamicCache

    num_shared, num_clips = len(shared), len(own.lengths)
    ids = torch.tensor([list(shared)], device=own.vectors.device)
    mask = functional.pad(own.mask, (num_shared, 0), value=True)
    # With gradients checkpointed nothing is cached: what is shared is run for each clip.
    if (model.is_checkpointed and torch.is_grad_enabled()) or not num_shared:
        begin = model.embeddings(ids).expand(num_clips, -1, -1) if num_shared else None
        whole = own.vectors if begin is None else torch.cat([begin, own.vectors], dim=1)
        cache = DynamicCache() if keep_cache else None
        output = model.decoder(
            inputs_embeds=whole, attention_mask=mask, past_key_values=cache, use_cache=keep_cache
        )
        return output.last_hidden_state[:, num_shared:], cache
    cache = DynamicCache()
    model.decoder(inputs_embeds=model.embeddings(ids), past_key_values=cache, use_cache=True)
    for layer in cache.layers:
        layer.keys = layer.keys.expand(num_clips, -1, -1, -1)
        layer.values = layer.values.expand(num_clips, -1, -1, -1)
    places = num_shared + torch.arange(own.vectors.shape[1], device=own.vectors.device)
    output = model.decoder(
        inputs_embeds=own.vectors,
        attention_mask=mask,
        position_ids=places[None].expand(num_clips, -1),
        past_key_values=cache,
        use_cache=True,
    )
    return output.last_hidden_state, cache


class Dialogues:
    """Prompts that a model has read, each to be gone on with; nothing is read twice.

    Attributes:
        next_logits: Of the token after each prompt, shape (B, V).
    """

    @torch.no_grad()
    def __init__(self, model: LanguageModel, prompts: Prompts) -> None:
        """Read prompts of B clips."""
        own = _embedded(model, prompts)
        hidden, self._cache = _run(model, prompts.shared, own, keep_cache=True)
        self._model = model
        self._mask = functional.pad(own.mask, (len(prompts.shared), 0), value=True)
        self._ends = len(prompts.shared) + own.lengths
        self.next_logits = self._logits_after(hidden, own.lengths)

    @torch.no_grad()
    def go_on(self, said: Sequence[Sequence[int]]) -> None:
        """Read what was said after each prompt: it is a part of the prompt from here on.

        Args:
            said: Token ids, of each clip one or more.
        """
        own = _padded(self._model, said)
        hidden = self._read(own)
        self._ends = self._ends + own.lengths
        self.next_logits = self._logits_after(hidden, own.lengths)

    @torch.no_grad()
    def log_probabilities(self, candidates: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Return log p of each candidate answer after each prompt: its first token's, and whole.

        Args:
            candidates: Token ids of C answers.

        Returns:
            Float32, each of shape (B, C).
        """
        device = self.next_logits.device
        first_of = torch.tensor([answer[0] for answer in candidates], device=device)
        first = self.next_logits.log_softmax(-1)[:, first_of]
        # All candidates are read side by side, and none sees another.
        read = [(c, t, a) for c, answer in enumerate(candidates) for t, a in enumerate(answer[:-1])]
        if not read:
            return first, first
        before = self._mask.shape[1]
        mine, when, _ = torch.tensor(read, device=device).T
        wanted = torch.tensor([a for answer in candidates for a in answer[1:]], device=device)
        own = _padded(self._model, [[a for _, _, a in read]] * len(self._ends))
        sees = (mine[:, None] == mine) & (when[:, None] >= when)
        hidden = self._read(own, places=when, sees=sees)
        logits = self._model.logits(hidden).log_softmax(-1)
        self._forget(before)
        each = logits.gather(2, wanted.expand(len(logits), -1)[..., None])[..., 0]
        return first, first.index_add(1, mine, each)

    @torch.no_grad()
    def likeliest(self, *, most: int, ends: Collection[int] = ()) -> list[list[int]]:
        """Return the likeliest tokens after each prompt, one by one, up to the end token.

        Args:
            most: Tokens of an answer.
            ends: Tokens that end it as well.
        """
        ends = {self._model.tokeniser.eos_token_id, *ends}
        answers: list[list[int]] = [[] for _ in self._ends]
        open_ = set(range(len(answers)))
        tokens, read, before = self.next_logits.argmax(-1).tolist(), self._mask.shape[1], self._ends
        for _ in range(most):
            for i, token in enumerate(tokens):
                if i in open_ and token in ends:
                    open_.discard(i)
                elif i in open_:
                    answers[i].append(token)
            if not open_:
                break
            hidden = self._read(_padded(self._model, [[token] for token in tokens]))
            self._ends = self._ends + 1
            tokens = self._model.logits(hidden[:, -1]).argmax(-1).tolist()
        self._forget(read)
        self._ends = before
        return answers

    def _read(
        self, own: _Embedded, *, places: Tensor | None = None, sees: Tensor | None = None
    ) -> Tensor:
        """Return the last hidden states of what follows each prompt, (B, T, D).

        Args:
            own: What follows.
            places: How far each token stands from its prompt, shape (T,); None: one by one.
            sees: Which of them each one sees, itself too, shape (T, T); None: all before it.
        """
        num_clips, num_new = own.vectors.shape[:2]
        if places is None:
            places = torch.arange(num_new, device=own.vectors.device)
        mask = torch.cat([self._mask, own.mask], dim=1)
        self._mask = mask
        if sees is not None:
            of_prompts = mask[:, None, None, :-num_new].expand(-1, 1, num_new, -1)
            seen = torch.cat([of_prompts, sees.expand(num_clips, 1, -1, -1)], dim=3)
            hidden_from = torch.finfo(own.vectors.dtype).min
            mask = torch.zeros_like(seen, dtype=own.vectors.dtype).masked_fill(~seen, hidden_from)
        output = self._model.decoder(
            inputs_embeds=own.vectors,
            attention_mask=mask,
            position_ids=self._ends[:, None] + places,
            past_key_values=self._cache,
            use_cache=True,
        )
        hidden: Tensor = output.last_hidden_state
        return hidden

    def _forget(self, read: int) -> None:
        """Go back to where so much had been read."""
        num_new = self._mask.shape[1] - read
        if num_new:
            self._cache.crop(-num_new)
            self._mask = self._mask[:, :read]

    def _logits_after(self, hidden: Tensor, lengths: Tensor) -> Tensor:
        clips = torch.arange(len(lengths), device=hidden.device)
        return self._model.logits(hidden[clips, lengths - 1])
