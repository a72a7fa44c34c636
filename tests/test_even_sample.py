"""Frames are drawn alike of speakers and of their clips."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.quantisation.sampling import even_sample

CLIPS = st.lists(st.tuples(st.integers(1, 40), st.sampled_from("abc")), min_size=1, max_size=12)


@given(CLIPS, st.integers(0, 300), st.integers(0, 9))
def test_speakers_and_clips_give_alike_as_far_as_they_have(
    clips: list[tuple[int, str]], budget: int, seed: int
):
    sizes = np.array([size for size, _ in clips])
    speakers = np.array([speaker for _, speaker in clips])
    drawn = even_sample(sizes, speakers, budget, seed)
    counts = np.array([len(one) for one in drawn])
    assert counts.sum() == min(budget, sizes.sum())
    for one, size in zip(drawn, sizes, strict=True):
        assert one.dtype == np.int64
        assert (np.diff(one) > 0).all()
        assert not len(one) or (one[0] >= 0 and one[-1] < size)
    _require_even(
        np.array([counts[speakers == s].sum() for s in "abc"]),
        np.array([sizes[speakers == s].sum() for s in "abc"]),
    )
    for s in "abc":
        _require_even(counts[speakers == s], sizes[speakers == s])


def _require_even(given: np.ndarray, sizes: np.ndarray) -> None:
    """Nobody gives two more than one who has more to give."""
    for mine, size in zip(given, sizes, strict=True):
        assert mine == size or (given <= mine + 1).all()


def test_a_speaker_of_few_frames_gives_all_and_the_others_fill_up():
    drawn = even_sample(np.array([2, 50, 50, 50]), np.array(["a", "b", "b", "c"]), 42, 0)
    assert [len(one) for one in drawn] == [2, 10, 10, 20]


def test_the_draw_is_the_seed_s():
    sizes, speakers = np.full(20, 30), np.array(list("ab") * 10)
    first, again, other = (even_sample(sizes, speakers, 100, seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_every_frame_of_a_clip_is_as_likely():
    hits = np.zeros(10)
    for seed in range(2000):
        hits[even_sample(np.array([10]), np.array(["a"]), 3, seed)[0]] += 1
    np.testing.assert_allclose(hits, 600, rtol=0.15)


@given(CLIPS)
def test_all_frames_are_taken_where_they_fit(clips: list[tuple[int, str]]):
    sizes = np.array([size for size, _ in clips])
    speakers = np.array([speaker for _, speaker in clips])
    for one, size in zip(even_sample(sizes, speakers, int(sizes.sum()), 0), sizes, strict=True):
        assert one.tolist() == list(range(size))


@given(st.lists(st.integers(0, 40), min_size=1, max_size=20), st.integers(0, 900))
def test_levels_are_those_of_giving_one_frame_after_another(sizes: list[int], budget: int):
    there = np.array(sizes)
    drawn = even_sample(there, np.full(len(there), "a"), budget, 0)
    counts = np.array([len(one) for one in drawn])
    naive = np.zeros_like(counts)
    for _ in range(min(budget, there.sum())):
        able = np.flatnonzero(naive < there)
        naive[able[naive[able].argmin()]] += 1
    # Who gives one more is drawn: what the others give must agree, and how many give more.
    assert sorted(np.minimum(counts, max(0, naive.max() - 1))) == sorted(
        np.minimum(naive, max(0, naive.max() - 1))
    )
    assert counts.sum() == naive.sum()
    assert counts.max() == naive.max()
