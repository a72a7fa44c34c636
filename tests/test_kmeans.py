"""k-means against a naive twin, and what it promises."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ParamsError
from pipeline.quantisation import kmeans
from pipeline.quantisation.kmeans import KMeansFit, fit_kmeans, nearest


def drawn(num_frames: int, dim: int = 3, seed: int = 0) -> torch.Tensor:
    return torch.randn(num_frames, dim, generator=torch.Generator().manual_seed(seed))


def fitted(frames: torch.Tensor, k: int, iterations: int = 5, **options: object) -> KMeansFit:
    dim = frames.shape[1]
    given = {
        "mean": torch.zeros(dim),
        "scale": torch.ones(dim),
        "generator": torch.Generator().manual_seed(1),
    }
    return fit_kmeans(frames, k=k, iterations=iterations, **{**given, **options})  # type: ignore[arg-type]


def naive(frames: np.ndarray, k: int, iterations: int) -> tuple[np.ndarray, list[float]]:
    """The same in two loops, from the same first centroids."""
    order = torch.randperm(len(frames), generator=torch.Generator().manual_seed(1))[:k]
    centroids = frames[np.sort(order.numpy())].copy()

    def look() -> tuple[np.ndarray, np.ndarray]:
        squared = np.array([[((x - c) ** 2).sum() for c in centroids] for x in frames])
        return squared.argmin(1), squared.min(1)

    places, far = look()
    curve = []
    for _ in range(iterations):
        for c in range(k):
            if (places == c).any():
                centroids[c] = frames[places == c].mean(0)
        places, far = look()
        curve.append(float(far.mean()))
    return centroids, curve


@pytest.mark.parametrize(("num_frames", "k", "block"), [(40, 4, 7), (60, 9, 4096)])
def test_it_is_what_two_loops_find(
    monkeypatch: pytest.MonkeyPatch, num_frames: int, k: int, block: int
):
    monkeypatch.setattr(kmeans, "BLOCK_ROWS", block)
    frames = drawn(num_frames)
    fit = fitted(frames, k)
    centroids, curve = naive(frames.double().numpy(), k, 5)
    np.testing.assert_allclose(fit.centroids, centroids, atol=1e-5)
    np.testing.assert_allclose(fit.inertia, curve, rtol=1e-5)
    assert fit.num_empty == 0


@given(st.integers(0, 10_000), st.integers(1, 8), st.integers(8, 60))
@settings(max_examples=40, deadline=None)
def test_the_distance_never_rises(seed: int, k: int, num_frames: int):
    inertia = fitted(drawn(num_frames, seed=seed), k, 8).inertia
    assert (inertia.diff() <= 1e-5 * inertia[:-1]).all()


def test_the_nearest_is_the_first_of_equals_and_its_distance_is_exact():
    centroids = torch.tensor([[0.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
    places, squared = nearest(torch.tensor([[1.0, 0.0], [2.0, 3.0], [0.0, 0.0]]), centroids)
    assert places.tolist() == [0, 1, 0]
    assert squared.tolist() == [1.0, 9.0, 0.0]


def test_one_centroid_is_the_mean_and_as_many_as_frames_are_the_frames():
    frames = drawn(12)
    torch.testing.assert_close(fitted(frames, 1).centroids[0], frames.mean(0))
    every = fitted(frames, 12)
    assert every.inertia[-1] == 0
    torch.testing.assert_close(every.centroids.sort(0).values, frames.sort(0).values)


def test_frames_are_standardised_on_the_way():
    frames = drawn(50) * torch.tensor([1.0, 30.0, 0.1]) + 4
    mean, scale = frames.mean(0), 1 / frames.std(0)
    on_the_way = fitted(frames, 5, mean=mean, scale=scale)
    before = fitted((frames - mean) * scale, 5)
    torch.testing.assert_close(on_the_way.centroids, before.centroids)
    half = fitted(frames.half(), 5, mean=mean, scale=scale)
    assert half.centroids.dtype == torch.float32


def test_an_empty_centroid_takes_the_farthest_frame():
    # Three of the first four frames are one point, so two centroids have nothing.
    frames = torch.tensor([[0.0], [0.0], [0.0], [1.0], [50.0], [90.0]])
    first = torch.Generator().manual_seed(1)
    monkey = torch.randperm(6, generator=first)[:4].sort().values
    frames[monkey] = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    others = [i for i in range(6) if i not in monkey.tolist()]
    frames[others] = torch.tensor([[50.0], [90.0]])
    fit = fitted(frames, 4, 3)
    assert sorted(fit.centroids[:, 0].tolist()) == [0.0, 1.0, 50.0, 90.0]
    assert (fit.num_empty, fit.inertia[-1]) == (0, 0)


def test_centroids_that_stay_empty_are_counted():
    fit = fitted(torch.ones(6, 2), 3)
    assert fit.num_empty == 2
    assert fit.inertia.tolist() == [0.0] * 5


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_the_same_bits_again_and_with_another_number_of_threads(compute_dtype: str):
    frames, before = drawn(3000, 16), torch.get_num_threads()
    fits = []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            fits.append(fitted(frames, 50, compute_dtype=compute_dtype))
    finally:
        torch.set_num_threads(before)
    for other in fits[1:]:
        assert torch.equal(other.centroids, fits[0].centroids)
        assert torch.equal(other.inertia, fits[0].inertia)


def test_bfloat16_ends_where_float32_does():
    frames = drawn(4000, 32)
    rough, exact = (fitted(frames, 40, 10, compute_dtype=d) for d in ("bfloat16", "float32"))
    assert rough.inertia[-1] == pytest.approx(float(exact.inertia[-1]), rel=0.01)
    assert torch.equal(rough.centroids, rough.centroids.float())
    assert not torch.equal(rough.centroids, exact.centroids)


def test_more_centroids_than_frames_are_refused():
    with pytest.raises(ParamsError, match=r"found 3 frames for 4 centroids; take fewer\.$"):
        fitted(drawn(3), 4)
