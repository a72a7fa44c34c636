"""Clips as a head sees them: the same from memory and streamed, in what order, how many at once."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch
from pipeline.heads.needs import Need
from pipeline.heads.phase import OptimiserConfig, Phase
from pipeline.heads.standardiser import Standardiser, moments
from pipeline.sources.in_memory import InMemory
from pipeline.sources.source import Source
from pipeline.sources.streamed import Streamed
from pipeline.training.batches import Batches, TrainingClips
from pipeline.training.config import TrainConfig
from pipeline.training.plans import Layout, plan_steps
from pipeline.training.weighting import weigh_rows

NEEDS = [Need(name="heard", kind="frames", view="frames", layers=(1,))]
NUM = 40


class RaggedFeatures:
    """Frames as a store would give them, seven clips a shard; notes how many are read at once."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.frames = [
            generator.normal(size=(n, 2, 3)).astype(np.float16)
            for n in generator.integers(1, 9, NUM)
        ]
        self.read_at_once: list[int] = []

    def read_frames(self, rows: np.ndarray, view: str, layers: Sequence[int]) -> list[np.ndarray]:
        self.read_at_once.append(len(rows))
        return [self.frames[row][:, list(layers)] for row in rows]

    ragged = read_frames

    def num_frames(self, rows: np.ndarray, view: str) -> np.ndarray:
        return np.array([len(self.frames[row]) for row in rows])

    def shards(self, rows: np.ndarray, view: str) -> np.ndarray:
        return rows // 7

    def texts(self, column: str, rows: np.ndarray) -> list[str]:
        return [f"{column} {row}" for row in rows]

    def groups(self, over: str) -> np.ndarray:
        return np.array([f"g{row % 2}" for row in range(NUM)])


def opened(kind: type[Source], rows: np.ndarray | None = None) -> Source:
    rows = np.arange(NUM) if rows is None else rows
    return kind(RaggedFeatures(), rows, NEEDS, ["text"], device="cpu")


def phase(**settings) -> Phase:
    base = {"name": "p", "num_steps": 9, "batch_size": 6, "optimiser": OptimiserConfig()}
    return Phase(**{**base, **settings})


def layout(source: Source, pool_shards: int = 2) -> Layout:
    return Layout(
        classes=np.arange(NUM) % 3,
        lengths=source.lengths,
        shards=source.shards,
        pool_shards=pool_shards,
    )


def weighting(balance: str = "none"):
    targets = np.eye(3, dtype=np.float32)[np.minimum(np.arange(NUM) % 5, 2)]
    return weigh_rows(targets, ["c"] * NUM, balance=balance, corpus_temperature=1.0)


def steps(source: Source, first: int, num: int, **settings) -> list[list[int]]:
    balance = settings.pop("balance", "none")
    plan = plan_steps(phase(**settings), 3, weighting(balance), layout(source), first_step=first)
    return list(islice((batch.tolist() for pool in plan for batch in pool), num))


def assert_same(a: Batch, b: Batch) -> None:
    assert a.texts == b.texts
    assert torch.equal(a.ragged("heard").values, b.ragged("heard").values)
    assert torch.equal(a.ragged("heard").lengths, b.ragged("heard").lengths)


def test_streamed_and_in_memory_give_the_same_batches() -> None:
    plan = [[np.array([3, 1, 20]), np.array([3])], [np.array([39, 0])]]
    batches = [list(opened(kind).batches(plan)) for kind in (InMemory, Streamed)]
    assert [len(found) for found in batches] == [3, 3]
    for one, other in zip(*batches, strict=True):
        assert_same(one, other)


def test_a_clip_is_the_same_alone_and_beside_longer_ones() -> None:
    source = opened(Streamed)
    standardiser = Standardiser(1, 3)
    standardiser.fit(source.parts(NEEDS[0], np.arange(NUM)))
    source.use({"heard": standardiser})
    together = next(source.batches([[np.arange(10)]])).ragged("heard")
    assert not together.values[~together.mask].any()
    for i in range(10):
        alone = next(source.batches([[np.array([i])]])).ragged("heard")
        n = int(alone.lengths[0])
        assert torch.equal(alone.values[0], together.values[i, :n])
    whole = torch.cat(
        [b.ragged("heard").values[b.ragged("heard").mask] for b in source.batches(source.scan(7))]
    )
    torch.testing.assert_close(whole.mean(0), torch.zeros(1, 3), atol=1e-5, rtol=0)
    torch.testing.assert_close(whole.std(0, correction=0), torch.ones(1, 3), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("at_once", "sizes"), [(7, [7] * 5 + [5]), (10, [10, 4, 7, 10, 4, 5])])
def test_shards_of_few_clips_share_a_pool(at_once: int, sizes: list[int]) -> None:
    source = opened(Streamed)
    pools = source.scan(at_once)
    assert [len(part) for pool in pools for part in pool] == sizes
    for pool in pools:
        positions = np.concatenate(pool)
        assert len(positions) < at_once + 7
        lengths = source.lengths[positions]
        assert (np.diff(lengths) >= 0).all()
    everyone = np.concatenate([part for pool in pools for part in pool])
    assert sorted(everyone) == list(range(NUM))


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6), st.sampled_from(["dimension", "scalar"])
)
def test_moments_of_parts_are_those_of_the_whole(sizes: list[int], kind: str) -> None:
    generator = np.random.default_rng(sum(sizes))
    parts = [generator.normal(5, 2, size=(n, 2, 3)).astype(np.float32) for n in sizes]
    in_parts, at_once = moments(parts, kind), moments([np.concatenate(parts)], kind)
    for one, other in zip(in_parts, at_once, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_no_more_than_two_pools_are_in_memory() -> None:
    source = opened(Streamed)
    plan = plan_steps(phase(), 0, weighting(), layout(source), first_step=0)
    batches = source.batches(plan)
    for _ in range(30):
        next(batches)
    batches.close()
    assert isinstance(source.features, RaggedFeatures)
    # A pool is two shards of seven clips.
    assert max(source.features.read_at_once) <= 14


@pytest.mark.parametrize("sampler", ["even", "pairs", "balanced"])
@pytest.mark.parametrize("balance", ["none", "sampler"])
def test_a_run_resumed_at_a_step_draws_what_it_would_have_drawn(sampler, balance) -> None:
    source = opened(Streamed)
    whole = steps(source, 0, 40, sampler=sampler, balance=balance)
    for first in (1, 7, 8, 23):
        assert steps(source, first, 40 - first, sampler=sampler, balance=balance) == whole[first:]


def test_an_epoch_sees_every_clip_once_and_shuffles_its_shards() -> None:
    source = opened(Streamed)
    plan = plan_steps(phase(), 0, weighting(), layout(source), first_step=0)
    pools = list(islice(plan, 6))  # six shards make three pools an epoch
    epochs = [[i for pool in pools[k : k + 3] for b in pool for i in b.tolist()] for k in (0, 3)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(NUM))
    assert epochs[0] != epochs[1]
    for pool in pools:
        assert len({i // 7 for batch in pool for i in batch.tolist()}) <= 2


def test_a_batch_holds_clips_of_like_length() -> None:
    source = opened(InMemory)
    pool = next(plan_steps(phase(), 0, weighting(), layout(source), first_step=0))
    spread = [np.ptp(source.lengths[batch]) for batch in pool]
    assert max(spread) <= 2
    assert {len(batch) for batch in pool} <= {5, 6, 7}


def test_pairs_are_two_clips_of_one_class() -> None:
    source = opened(Streamed)
    classes = layout(source).classes
    for batch in steps(source, 0, 30, sampler="pairs"):
        pairs = np.array(batch).reshape(-1, 2)
        assert (classes[pairs[:, 0]] == classes[pairs[:, 1]]).all()
        assert (pairs[:, 0] != pairs[:, 1]).all()


def test_balanced_pairs_are_as_many_of_each_class() -> None:
    source = opened(InMemory)
    classes = np.minimum(np.arange(NUM) % 10, 2)  # of ten clips, eight are of one class
    plan = plan_steps(
        phase(sampler="balanced"),
        3,
        weighting(),
        replace(layout(source), classes=classes),
        first_step=0,
    )
    for pool in islice(plan, 4):
        pairs = np.concatenate(pool).reshape(-1, 2)
        assert (classes[pairs[:, 0]] == classes[pairs[:, 1]]).all()
        counts = np.bincount(classes[pairs[:, 0]])
        assert len(counts) == 3
        assert np.ptp(counts) == 0


def test_texts_alone_have_lengths_and_are_not_mixed_up() -> None:
    source = InMemory(RaggedFeatures(), np.array([3, 12]), (), ["text"], device="cpu")
    assert source.lengths.tolist() == [len("text 3") + 1, len("text 12") + 1]
    assert not source.is_mixable


def test_frames_are_not_mixed_up() -> None:
    targets = np.eye(3, dtype=np.float32)[np.arange(NUM) % 3]
    clips = TrainingClips(
        source=opened(InMemory),
        labels=np.arange(NUM) % 3,
        speakers=np.array(["s"] * NUM),
        targets=targets,
        weighting=weighting(),
    )
    with pytest.raises(ParamsError, match=r"train\.mixup: found 0\.2, but frames of different"):
        Batches(clips, TrainConfig(mixup=0.2), "cpu")
