"""The EmoQ-Former: learned queries gather from a clip's frames and its words (arXiv 2509.15775)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from pipeline.errors import ParamsError
from pipeline.heads.base import Base
from pipeline.heads.batch import Ragged
from pipeline.heads.former_weights import load_start, outline_start, read_start
from pipeline.heads.needs import FeatureShape
from pipeline.heads.query_pooling import QueryPooling

WHERE = "train.emoq.former"  # the parameter that names a checkpoint
MAX_TOKENS = 512  # of a random Former; BERT's
SPREAD = 0.02  # deviation of queries at the start; BERT's


@dataclass(frozen=True)
class Tokens:
    """Texts as token ids, padded on the right.

    Attributes:
        ids: int64, shape (B, S).
        mask: Which tokens are a text's own, bool, shape (B, S).
        positions: Of each token, int64, shape (B, S).
    """

    ids: Tensor
    mask: Tensor
    positions: Tensor


class Former(nn.Module):
    """Frames and words of a clip become one vector of length 1 (2509.15775, Eqs. 1-4).

    x' = Linear(LN(x)), x the frames, layers summed under softmax weights. H = the queries after
    blocks of self-attention over [queries; words], cross-attention of the queries alone to x' in
    every `cross_every`-th block, and feed-forward layers. z = F / |F|, F = Linear of H pooled by
    attention (`QueryPooling`). The blocks are transformers' `InstructBlipQFormerModel`.

    Attributes:
        width: W of z, that of the blocks.
        base: The checkpoint that it began from; None where it began at random.
        max_tokens: Of a text; `tokens` leaves the rest out.
        network: The blocks.
    """

    def __init__(
        self,
        shape: FeatureShape,
        *,
        checkpoint: str = "",
        tokeniser: Any = None,
        num_queries: int = 32,
        cross_every: int = 2,
        pooling_heads: int = 4,
        width: int = 256,
        num_blocks: int = 4,
        num_heads: int = 4,
        is_outline: bool = False,
    ) -> None:
        """Make a Former, from a checkpoint or at random.

        Args:
            shape: Of the frames, R layers of D.
            checkpoint: A BERT-like model, as `pipeline.encoders.hub` reads it; "" starts at random.
            tokeniser: Of transformers, where there is no checkpoint; a checkpoint brings its own.
            num_queries: N.
            cross_every: Cross-attention is in the first block and every so many after it.
            pooling_heads: Of the attention that pools queries.
            width: Of a random Former, as are the next two; a checkpoint has its own.
            num_blocks: Of self-attention.
            num_heads: Of each attention in the blocks.
            is_outline: Whether only sizes are wanted: the checkpoint's weights are not read.

        Raises:
            EncoderError: If the checkpoint cannot be loaded whole, or is of another kind.
            ParamsError: If a random Former's width is no multiple of its heads.
        """
        from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

        super().__init__()
        self.base: Base | None = None
        self.tokeniser = tokeniser
        self._first_position = 0
        read = outline_start if is_outline else read_start
        start = read(checkpoint, where=WHERE) if checkpoint else None
        if start:
            self.tokeniser, self._first_position = start.tokeniser, start.first_position
            self.base = Base(spelling=checkpoint, digest=start.digest, model=None)
            sizes = {name: getattr(start.config, name) for name in _SHARED}
        else:
            sizes = _random_sizes(tokeniser, width, num_blocks, num_heads)
        self.width = int(sizes["hidden_size"])
        self.max_tokens = int(sizes["max_position_embeddings"]) - self._first_position
        config = InstructBlipQFormerConfig(
            **sizes, encoder_hidden_size=self.width, cross_attention_frequency=cross_every
        )
        self.network = InstructBlipQFormerModel(config)
        if start and not is_outline:
            load_start(self.network, start, checkpoint, where=WHERE)
        is_several = shape.num_layers > 1
        self.layer_scores = nn.Parameter(torch.zeros(shape.num_layers)) if is_several else None
        self.project = nn.Sequential(nn.LayerNorm(shape.dim), nn.Linear(shape.dim, self.width))
        self.queries = nn.Parameter(torch.randn(num_queries, self.width) * SPREAD)
        self.pool = QueryPooling(self.width, self.width, pooling_heads)
        self.out = nn.Linear(self.pool.out_width, self.width)

    def forward(self, frames: Ragged, texts: Sequence[str] | None) -> Tensor:
        """Return z, float32, shape (B, W).

        Args:
            frames: Shape (B, T, R, D).
            texts: What is said in each clip, "" where nothing is known; None reads frames alone.
        """
        pooled = self.pool(self.query_states(frames, texts))
        return functional.normalize(self.out(pooled).float(), dim=1)

    def query_states(self, frames: Ragged, texts: Sequence[str] | None) -> Tensor:
        """Return H, the queries after the last block, shape (B, N, W); see `forward`."""
        x, mask = self._project(frames)
        queries = self.queries.expand(len(x), -1, -1)
        own = torch.ones(queries.shape[:2], dtype=torch.bool, device=x.device)
        tokens = None if texts is None else self.tokens(texts)
        found = self.network(
            input_ids=tokens and tokens.ids,
            # transformers counts the words alone from 0 where it is given no positions.
            position_ids=tokens and tokens.positions,
            attention_mask=own if tokens is None else torch.cat([own, tokens.mask], dim=1),
            query_embeds=queries,
            encoder_hidden_states=x,
            encoder_attention_mask=mask,
        )
        states: Tensor = found.last_hidden_state[:, : len(self.queries)]
        return states

    def tokens(self, texts: Sequence[str]) -> Tokens:
        """Return texts as tokens, each cut to `max_tokens`; `tokens_cut` says what is left out.

        Positions are 0, 1, ... for BERT, and for RoBERTa cumsum(mask) mask + pad: from pad + 1 on,
        pad in padding.
        """
        encoded = self._encoded(texts, truncation=True, max_length=self.max_tokens)
        rows = [torch.tensor(ids, dtype=torch.long) for ids in encoded]
        pad = self.network.config.pad_token_id or 0
        ids = pad_sequence(rows, batch_first=True, padding_value=pad)
        lengths = torch.tensor([len(row) for row in rows])
        places = torch.arange(ids.shape[1]).expand_as(ids)
        mask = places < lengths[:, None]
        positions = places + self._first_position
        if self._first_position:
            positions = positions.where(mask, self._first_position - 1)
        device = self.queries.device
        return Tokens(ids.to(device), mask.to(device), positions.to(device))

    def tokens_cut(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens of each text are beyond `max_tokens`, which nothing sees."""
        return [max(0, len(ids) - self.max_tokens) for ids in self._encoded(texts, verbose=False)]

    def _encoded(self, texts: Sequence[str], **options: Any) -> list[list[int]]:
        # A mark such as [SEP] that somebody wrote is plain text.
        encoded = self.tokeniser(list(texts), split_special_tokens=True, **options)
        found: list[list[int]] = encoded["input_ids"]
        return found

    def _project(self, frames: Ragged) -> tuple[Tensor, Tensor]:
        """Return x', shape (B, T, W), and which frames the queries may attend to, (B, T)."""
        mask = frames.mask
        values = frames.values.masked_fill(~mask[..., None, None], 0)
        if values.shape[1] == 0:
            values, mask = functional.pad(values, (0, 0, 0, 0, 0, 1)), functional.pad(mask, (0, 1))
        # A clip of no frames has one of zeros: attention to nothing would be NaN.
        mask = torch.cat([mask[:, :1] | (frames.lengths == 0)[:, None], mask[:, 1:]], dim=1)
        if self.layer_scores is None:
            x = values[:, :, 0]
        else:
            x = torch.einsum("btrd,r->btd", values, self.layer_scores.softmax(0))
        return self.project(x), mask


# What a Former takes over from a BERT's configuration.
_SHARED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_act",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "initializer_range",
    "layer_norm_eps",
    "pad_token_id",
)


def _random_sizes(tokeniser: Any, width: int, blocks: int, heads: int) -> dict[str, Any]:
    assert tokeniser is not None, "a Former without a checkpoint is given a tokeniser"
    if width % heads:
        raise ParamsError(
            f"train.emoq.former_width: found {width} with former_heads {heads}, wanted a multiple "
            "of former_heads; change one of them."
        )
    return {
        "vocab_size": len(tokeniser),
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": heads,
        "intermediate_size": 4 * width,
        "max_position_embeddings": MAX_TOKENS,
        "initializer_range": SPREAD,
        "pad_token_id": tokeniser.pad_token_id,
    }
