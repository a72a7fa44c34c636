"""Codebooks fitted on frames of training clips, layer by layer, a killed fit taken up again."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load, save
from torch import Tensor

from pipeline.errors import ParamsError
from pipeline.files import fingerprint, publish_bytes, read_bytes, sha256_bytes
from pipeline.heads.standardiser import moments
from pipeline.quantisation.codebooks import LARGEST, Codebooks
from pipeline.quantisation.kmeans import COMPUTE_DTYPES, fit_kmeans
from pipeline.quantisation.sampling import even_sample
from pipeline.store.reader import View
from pipeline.typed import require_seed

SAMPLE_BYTES = 1 << 30  # of the layers whose sampled frames are in memory together


@dataclass(frozen=True, kw_only=True)
class TokeniseConfig:
    """Everything about codes of frames that changes a number."""

    k: tuple[int, ...] = (1000,)  # centroids of each layer; several make a view each
    frames_per_centroid: int = 256  # the sample has at most so many, evenly over speakers and clips
    iterations: int = 20  # of Lloyd's algorithm
    standardise: bool = True  # each dimension to mean 0 and deviation 1 first
    compute_dtype: str = "float32"  # of the products in the iterations: float32 or bfloat16
    seed: int = 0  # of the sample and of the first centroids
    rows_per_shard: int = 256  # clips

    def __post_init__(self) -> None:
        require_seed("tokenise.seed", self.seed)
        if not self.k or min(self.k) < 1 or max(self.k) > LARGEST or len(set(self.k)) < len(self.k):
            raise ParamsError(
                f"tokenise.k: found {list(self.k)}, wanted different numbers from 1 to {LARGEST}."
            )
        for name in ("frames_per_centroid", "iterations", "rows_per_shard"):
            if getattr(self, name) < 1:
                raise ParamsError(f"tokenise.{name}: {getattr(self, name)} is below 1.")
        if self.compute_dtype not in COMPUTE_DTYPES:
            raise ParamsError(
                f"tokenise.compute_dtype: {self.compute_dtype!r} is not one of "
                f"{list(COMPUTE_DTYPES)}."
            )


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Codebooks, and what is said of their fit.

    Attributes:
        codebooks: Of every layer.
        num_frames: Frames of the sample.
        num_empty: Centroids of each layer that no frame of the sample was nearest to at the end.
    """

    codebooks: Codebooks
    num_frames: int
    num_empty: tuple[int, ...]


class FrameSample:
    """The training clips of a fit, and the frames that are drawn of them.

    Attributes:
        view: Of frames.
        ids: The clips.
        num_frames: Of each clip, shape (N,).
        mean: Of all their frames, float32, shape (R, D).
        scale: One over their deviation, float32, shape (R, D); 0 where they are all the same.
    """

    def __init__(self, view: View, ids: Sequence[str], speakers: np.ndarray) -> None:
        """Look at every training frame once, for mean and deviation."""
        self.view = view
        self.ids = list(ids)
        self._speakers = speakers
        self.num_frames = view.num_frames(self.ids)
        self._shards = view.lookup(self.ids)["shard"].to_numpy(np.int64)
        self.mean, self.scale = moments(
            (np.concatenate(frames) for _, frames in self._by_shard(None)), "dimension"
        )

    def draw(self, budget: int, seed: int) -> list[np.ndarray]:
        """Return the frames that are drawn of each clip, evenly over speakers and clips."""
        return even_sample(self.num_frames, self._speakers, budget, seed)

    def read(self, drawn: Sequence[np.ndarray], layers: Sequence[int]) -> np.ndarray:
        """Return drawn frames of some layers as they are stored, shape (len(layers), N, D).

        They lie in the order of the clips, whatever shards these are in.
        """
        starts = np.cumsum([0, *map(len, drawn)])
        result: np.ndarray | None = None
        for members, frames in self._by_shard(layers):
            if result is None:
                shape = (len(layers), starts[-1], frames[0].shape[2])
                result = np.empty(shape, frames[0].dtype)
            for member, own in zip(members, frames, strict=True):
                place = slice(starts[member], starts[member + 1])
                result[:, place] = own[drawn[member]].swapaxes(0, 1)
        assert result is not None
        return result

    def _by_shard(
        self, layers: Sequence[int] | None
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        """Yield the clips of one shard after another, and their frames."""
        for shard in np.unique(self._shards):
            members = np.flatnonzero(self._shards == shard)
            yield members, self.view.read_ragged([self.ids[i] for i in members], layers)


def fit_codebooks(
    sample: FrameSample, config: TokeniseConfig, k: int, state: Path, *, device: str
) -> Fitted:
    """Fit one codebook for each layer; each is kept in a folder until `forget` is called.

    Args:
        sample: The training clips.
        config: What changes a number.
        k: Centroids of each layer.
        state: A folder for what is finished, of this very fit.
        device: A torch device.

    Raises:
        ParamsError: If there are fewer frames than centroids.
        FeatureStoreError: If a shard is damaged.
    """
    num_layers, dim = sample.mean.shape
    total = int(sample.num_frames.sum())
    if total < k:
        raise ParamsError(
            f"tokenise.k: found {k}, and the training clips have {total} frames; take a "
            "smaller one."
        )
    drawn = sample.draw(k * config.frames_per_centroid, config.seed)
    count = sum(map(len, drawn))
    mean = sample.mean if config.standardise else torch.zeros(num_layers, dim)
    scale = sample.scale if config.standardise else torch.ones(num_layers, dim)
    finished = {layer: _read(state, layer) for layer in range(num_layers)}
    todo = [layer for layer, one in finished.items() if one is None]
    at_once = max(1, SAMPLE_BYTES // (count * dim * 4))
    for start in range(0, len(todo), at_once):
        layers = todo[start : start + at_once]
        for layer, frames in zip(layers, sample.read(drawn, layers), strict=True):
            seed = int(fingerprint([config.seed, k, layer])[:15], 16)
            fit = fit_kmeans(
                torch.from_numpy(frames).to(device),
                k=k,
                mean=mean[layer].to(device),
                scale=scale[layer].to(device),
                iterations=config.iterations,
                generator=torch.Generator().manual_seed(seed),
                compute_dtype=config.compute_dtype,
            )
            found = {
                "centroids": fit.centroids.cpu(),
                "inertia": fit.inertia.cpu(),
                "num_empty": torch.tensor(fit.num_empty),
            }
            data = save(found)
            publish_bytes(_state_of(state, layer), sha256_bytes(data).encode() + data)
            finished[layer] = found
    layers_in_order = [one for _, one in sorted(finished.items()) if one is not None]
    return Fitted(
        codebooks=Codebooks(
            centroids=torch.stack([one["centroids"] for one in layers_in_order]),
            mean=mean,
            scale=scale,
            inertia=torch.stack([one["inertia"] for one in layers_in_order]),
        ),
        num_frames=count,
        num_empty=tuple(int(one["num_empty"]) for one in layers_in_order),
    )


def forget(state: Path) -> None:
    """Remove what `fit_codebooks` kept."""
    shutil.rmtree(state, ignore_errors=True)
    if state.parent.is_dir() and not any(state.parent.iterdir()):
        state.parent.rmdir()


def _state_of(state: Path, layer: int) -> Path:
    return state / f"{layer:03d}.safetensors"


def _read(state: Path, layer: int) -> dict[str, Tensor] | None:
    """Return what a killed fit had finished of a layer; a damaged one is made again."""
    try:
        kept = read_bytes(_state_of(state, layer))
    except OSError:
        return None
    digest, data = kept[:64], kept[64:]
    if sha256_bytes(data).encode() != digest:
        return None
    found: dict[str, Tensor] = load(data)
    return found
