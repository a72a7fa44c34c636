"""The head of discrete speech tokens: embeddings, time, pooling, fusion, acoustics (2601.17085).

The paper has no code and leaves sizes open. It reads codes of layers, or codebooks of a codec, or
in their place the continuous frames, which the same network takes: what codes get less is what
quantisation costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.dropout import Dropout
from pipeline.errors import ParamsError
from pipeline.heads.attentive_pooling import AttentivePooling
from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.classifier import LogitHead
from pipeline.heads.embedding import CENTROIDS, EMBEDDINGS, CodeEmbedding, FrameEmbedding
from pipeline.heads.fusion import ATTENTION, FUSIONS, NONE, Fusion
from pipeline.heads.needs import Need, Shapes
from pipeline.heads.temporal import CONV, TEMPORALS, make_temporal
from pipeline.heads.trunk import MOST_BLOCKS
from pipeline.quantisation.codebooks import Codebooks
from pipeline.store.views import CODES, FRAMES, LAYERS

INPUTS = (CODES, FRAMES, NONE)
AT_CLIPS, AT_FRAMES = "clips", "frames"
TOKENS, ACOUSTICS = "tokens", "acoustics"  # its needs


@dataclass(frozen=True, kw_only=True)
class TokensConfig:
    """What it reads, and the size of each part; the paper names none of the sizes."""

    input: str = CODES  # codes, frames in their place, or none: acoustics alone
    view: str = ""  # of the codes or frames; "" is the one of that name
    layers: tuple[int, ...] = ()  # positions in the view, or codebooks; none named reads all
    embedding: str = CENTROIDS  # of codes: centroids, learned, or tuned: learned from centroids on
    width: int = 256  # of tokens inside; even
    temporal: str = CONV  # model of time, each layer its own: none, conv, gru or transformer
    temporal_blocks: int = 1  # of it, one after another
    kernel_size: int = 5  # frames that conv sees, odd
    num_heads: int = 4  # of transformer
    temporal_dropout: float = 0.1  # of what it adds, in [0, 1)
    pooling_hidden: int = 128  # units that score frames in attentive pooling
    fusion: str = ATTENTION  # of layers: attention, mean, weights, concat, or none for one layer
    fuse_at: str = AT_CLIPS  # what is fused: pooled clips, or frames before time and pooling
    acoustics: str = ""  # a view of functionals beside, one vector per clip; "" has none
    hidden: int = 256  # units of the classifier, and of the map of acoustics
    dropout: float = 0.5  # of both, in [0, 1)
    code_dropout: float = 0.0  # chance that a frame of a layer is left out in training
    label_smoothing: float = 0.0  # of the cross-entropy, in [0, 1)

    def __post_init__(self) -> None:
        for name, allowed in (
            ("input", INPUTS),
            ("embedding", EMBEDDINGS),
            ("temporal", TEMPORALS),
            ("fusion", FUSIONS),
            ("fuse_at", (AT_CLIPS, AT_FRAMES)),
        ):
            value = getattr(self, name)
            if value not in allowed:
                raise ParamsError(f"train.tokens.{name}: {value!r} is not one of {list(allowed)}.")
        for name in ("temporal_dropout", "dropout", "code_dropout", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ParamsError(f"train.tokens.{name}: wanted at least 0 and below 1.")
        for name in ("temporal_blocks", "num_heads", "pooling_hidden", "hidden"):
            if getattr(self, name) < 1:
                raise ParamsError(f"train.tokens.{name}: {getattr(self, name)} is below 1.")
        if self.temporal_blocks > MOST_BLOCKS:
            raise ParamsError(
                f"train.tokens.temporal_blocks: {self.temporal_blocks} is above {MOST_BLOCKS}."
            )
        if self.width < 2 or self.width % 2 or self.width % self.num_heads:
            raise ParamsError(
                f"train.tokens.width: found {self.width} with num_heads {self.num_heads}, wanted "
                "an even multiple of num_heads; change one of them."
            )
        if self.kernel_size < 1 or self.kernel_size % 2 == 0:
            raise ParamsError(f"train.tokens.kernel_size: {self.kernel_size} is not odd.")
        if len(set(self.layers)) < len(self.layers):
            raise ParamsError(f"train.tokens.layers: {list(self.layers)} names one twice.")
        if self.input == NONE and not self.acoustics:
            raise ParamsError(
                "train.tokens.input: found 'none' without acoustics, which leaves nothing to read; "
                "name a view in acoustics."
            )


class Tokens(LogitHead):
    """y = MLP([z, g(LN(acoustics))]), z of the layers' tokens by time, pooling and fusion."""

    @classmethod
    def needs(cls, config: TokensConfig) -> Sequence[Need]:
        """Return its codes or frames, and its acoustics, where it has them."""
        needs = []
        if config.input != NONE:
            needs.append(
                Need(
                    name=TOKENS,
                    kind=config.input,
                    view=config.view or config.input,
                    layers=config.layers or None,
                    standardise=config.input == FRAMES,
                )
            )
        if config.acoustics:
            needs.append(Need(name=ACOUSTICS, kind=LAYERS, view=config.acoustics))
        return needs

    def __init__(self, shapes: Shapes, num_classes: int, config: TokensConfig) -> None:
        """Make a head, its weights random.

        Raises:
            ParamsError: If several layers are not to be fused.
        """
        super().__init__()
        self.config = config
        self.label_smoothing = config.label_smoothing
        width = 0
        if config.input != NONE:
            self._build_tokens(shapes)
            width += 2 * config.width
        if config.acoustics:
            shape = shapes[ACOUSTICS]
            size = shape.num_layers * shape.dim
            self.map_acoustics = nn.Sequential(
                nn.LayerNorm(size), nn.Linear(size, config.hidden), Dropout(config.dropout)
            )
            width += config.hidden
        self.classify = nn.Sequential(
            Dropout(config.dropout),
            nn.Linear(width, config.hidden),
            nn.GELU(),
            Dropout(config.dropout),
            nn.Linear(config.hidden, num_classes),
        )

    def _build_tokens(self, shapes: Shapes) -> None:
        config, shape = self.config, shapes[TOKENS]
        if config.fusion == NONE and shape.num_layers > 1:
            raise ParamsError(
                f"train.tokens.fusion: found 'none' with {shape.num_layers} layers, wanted one; "
                "name one in layers, or choose another fusion."
            )
        self.layers = config.layers or tuple(range(shape.num_layers))
        self.embed: FrameEmbedding | CodeEmbedding = (
            FrameEmbedding(shape, config.width)
            if config.input == FRAMES
            else CodeEmbedding(shape, config.width, config.embedding)
        )
        is_late = config.fuse_at == AT_CLIPS
        self.branches = nn.ModuleList(_Branch(config) for _ in (self.layers if is_late else [0]))
        self.fusion = Fusion(
            config.fusion,
            num_layers=shape.num_layers,
            width=2 * config.width if is_late else config.width,
            hidden=config.width,
        )

    def adopt(self, codebooks: Mapping[str, Codebooks]) -> None:
        """Take the centroids of its codes."""
        if self.config.input == CODES:
            assert isinstance(self.embed, CodeEmbedding)
            self.embed.adopt(codebooks[TOKENS])

    def logits(self, batch: Batch) -> Tensor:
        """Return logits of clips, float32, shape (B, C)."""
        parts = []
        if self.config.input != NONE:
            fused = self.fusion(self._layers(batch))
            if self.config.fuse_at == AT_FRAMES:
                fused = self.branches[0](fused, batch.ragged(TOKENS))
            parts.append(fused.float())
        if self.config.acoustics:
            functionals = batch.views[ACOUSTICS]
            assert isinstance(functionals, Tensor)
            parts.append(self.map_acoustics(functionals.flatten(1)).float())
        logits: Tensor = self.classify(torch.cat(parts, dim=1))
        return logits.float()

    def attention(self, batch: Batch) -> Tensor:
        """Return how much each layer counts in each clip, shape (B, R); sums are 1.

        Where frames are fused it is the mean over a clip's frames. For fusion by attention or
        weights.
        """
        weights = self.fusion.weights(self._layers(batch))
        if self.config.fuse_at == AT_CLIPS:
            return weights
        ragged = batch.ragged(TOKENS)
        own = (weights * ragged.mask[..., None]).sum(1)
        return own / ragged.lengths.clamp(min=1)[:, None]

    def extras(self, batch: Batch, options: Any) -> Mapping[str, Sequence[str] | Tensor]:
        """Return the attention of each layer, under `attention.` and its position in the view."""
        del options
        if self.config.input == NONE or not self.fusion.has_weights:
            return {}
        columns = self.attention(batch).unbind(1)
        return {f"attention.{i}": column for i, column in zip(self.layers, columns, strict=True)}

    def _layers(self, batch: Batch) -> Tensor:
        """Return what is fused: of clips, shape (B, R, 2 W), or of frames, (B, T, R, W)."""
        ragged = batch.ragged(TOKENS)
        tokens = [self._with_some_left_out(part) for part in self.embed(ragged.values)]
        if self.config.fuse_at == AT_FRAMES:
            return torch.stack(tokens, dim=2)
        pooled = [branch(part, ragged) for branch, part in zip(self.branches, tokens, strict=True)]
        return torch.stack(pooled, dim=1)

    def _with_some_left_out(self, tokens: Tensor) -> Tensor:
        """Return tokens (B, T, W), in training with frames set to 0 and the others scaled up."""
        chance = self.config.code_dropout
        if not chance or not self.training:
            return tokens
        return tokens * functional.dropout(tokens.new_ones(*tokens.shape[:2], 1), chance)


class _Branch(nn.Module):
    """A temporal model and the pooling of what it gives."""

    def __init__(self, config: TokensConfig) -> None:
        super().__init__()
        self.temporal = make_temporal(
            config.temporal,
            config.width,
            num_blocks=config.temporal_blocks,
            kernel_size=config.kernel_size,
            num_heads=config.num_heads,
            dropout=config.temporal_dropout,
        )
        self.pool = AttentivePooling(config.width, config.pooling_hidden)

    def forward(self, tokens: Tensor, ragged: Ragged) -> Tensor:
        """Return tokens (B, T, W) of clips as one vector each, shape (B, 2 W)."""
        pooled: Tensor = self.pool(self.temporal(tokens, ragged.lengths), ragged.mask)
        return pooled
