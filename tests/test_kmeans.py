import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import ParamsError, ShapeError
from pipeline.quantisation import kmeans
from pipeline.quantisation.kmeans import fit_kmeans, nearest
from pipeline.quantisation.start import start_places


def made(num, dim, *, seed=0, groups=7) -> torch.Tensor:
    """Frames in a few groups."""
    generator = torch.Generator().manual_seed(seed)
    centres = 3 * torch.randn(groups, dim, generator=generator)
    member = torch.randint(0, groups, (num,), generator=generator)
    return centres[member] + torch.randn(num, dim, generator=generator)


def fitted(frames, k, *, iterations=10, seed=0, mean=None, scale=None, compute_dtype="float32"):
    dim = frames.shape[1]
    return fit_kmeans(
        frames,
        k=k,
        mean=torch.zeros(dim) if mean is None else mean,
        scale=torch.ones(dim) if scale is None else scale,
        iterations=iterations,
        generator=torch.Generator().manual_seed(seed),
        compute_dtype=compute_dtype,
    )


def naive_codes(frames, centroids):
    """Codes and squared distances by the definition, in double precision."""
    squares = ((frames[:, None] - centroids[None]) ** 2).sum(2)
    return squares.argmin(1), squares.min(1)


def naive_fit(frames, k, iterations, seed):
    """Lloyd's iterations one centroid at a time, from the same frames."""
    frames = frames.double().numpy()
    generator = torch.Generator().manual_seed(seed)
    drawn = start_places(len(frames), k, generator, lambda places: torch.from_numpy(frames)[places])
    centroids, curve = frames[drawn.numpy()], []
    for _ in range(iterations):
        codes, _ = naive_codes(frames, centroids)
        empty = []
        for number in range(k):
            if (codes == number).any():
                centroids[number] = frames[codes == number].mean(0)
            else:
                empty.append(number)
        apart = ((frames - centroids[codes]) ** 2).sum(1)
        for number, place in zip(empty, np.argsort(-apart, kind="stable"), strict=False):
            centroids[number] = frames[place]
        curve.append(naive_codes(frames, centroids)[1].mean())
    return centroids, curve


def test_the_start_has_a_frame_of_each_of_well_parted_groups():
    frames = torch.arange(12).repeat_interleave(30)[:, None] * 1000.0 + made(360, 1)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        places = start_places(len(frames), 12, generator, lambda drawn: frames[drawn])
        assert (places.diff() > 0).all()
        # Drawn evenly, all twelve would be met in fewer than one of ten thousand.
        assert len(set((places // 30).tolist())) == 12


@pytest.mark.parametrize("num", [1, 50, 137])
def test_nearest_equals_the_definition_also_over_several_blocks(num, monkeypatch):
    monkeypatch.setattr(kmeans, "BLOCK_ROWS", 32)
    frames, centroids = made(num, 12, seed=1), made(9, 12, seed=2)
    codes, distances = nearest(frames, centroids)
    wanted, squares = naive_codes(frames.double().numpy(), centroids.double().numpy())
    assert codes.dtype == torch.int64
    assert codes.tolist() == wanted.tolist()
    np.testing.assert_allclose(distances, squares, rtol=1e-4)


def test_the_lowest_of_equal_centroids_is_nearest_and_no_distance_is_below_zero():
    frames = (100 * made(300, 16)).round()  # whole numbers, of which float32 loses nothing
    codes, distances = nearest(frames, torch.cat([frames[:5], frames[:5]]))
    assert codes[:5].tolist() == [0, 1, 2, 3, 4]
    assert codes.max() == 4
    assert (distances >= 0).all()


@pytest.mark.parametrize("iterations", [1, 2, 5])
@pytest.mark.parametrize("block", [64, 10_000])
def test_centroids_and_inertia_equal_those_of_a_naive_twin(iterations, block, monkeypatch):
    monkeypatch.setattr(kmeans, "BLOCK_ROWS", block)
    frames = made(400, 6)
    found = fitted(frames, 11, iterations=iterations, seed=3)
    centroids, curve = naive_fit(frames, 11, iterations, 3)
    np.testing.assert_allclose(found.centroids, centroids, atol=1e-5)
    np.testing.assert_allclose(found.inertia, curve, rtol=1e-5)


def test_the_last_inertia_is_that_of_the_centroids():
    frames = made(500, 8)
    for compute_dtype in ("float32", "bfloat16"):
        found = fitted(frames, 13, compute_dtype=compute_dtype)
        _, distances = nearest(frames, found.centroids)
        assert found.inertia[-1] == pytest.approx(float(distances.mean()), rel=1e-5)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 999),
    num=st.integers(1, 120),
    dim=st.integers(1, 9),
    k=st.integers(1, 20),
    values=st.sampled_from([2, 5, 1000]),
)
def test_inertia_never_rises(seed, num, dim, k, values):
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randint(-values, values, (num, dim), generator=generator).float()
    found = fitted(frames, min(k, num), iterations=6, seed=seed)
    # Frames that lie on whole numbers make empty clusters; rounding is that of float32.
    slack = 1e-6 * float(frames.square().sum(1).mean())
    assert (found.inertia.diff() <= slack).all()


def test_one_centroid_is_the_mean_and_its_inertia_the_variance():
    frames = made(20_000, 5)
    found = fitted(frames, 1, iterations=3)
    np.testing.assert_allclose(found.centroids[0], frames.double().mean(0), atol=1e-5)
    variance = float(frames.double().var(0, correction=0).sum())
    assert found.inertia.tolist() == pytest.approx([variance] * 3, rel=1e-5)


def test_every_frame_its_own_centroid_leaves_no_inertia():
    frames = made(40, 6)
    found = fitted(frames, 40)
    assert found.inertia.tolist() == pytest.approx([0.0] * 10, abs=1e-4)
    assert sorted(found.centroids.tolist()) == sorted(frames.tolist())


def test_a_centroid_without_frames_takes_the_farthest_frame():
    # All but two are one point, so that the drawn frames of nearly any seed are that point thrice.
    frames = torch.zeros(200, 2)
    frames[50], frames[120] = torch.tensor([9.0, 0.0]), torch.tensor([0.0, 5.0])
    found = fitted(frames, 3, iterations=1)
    rest = frames.sum(0) / 200  # the mean from before they were taken
    assert sorted(found.centroids.tolist()) == sorted([*frames[[50, 120]].tolist(), rest.tolist()])
    assert (found.num_refilled, found.num_empty) == (2, 0)
    assert fitted(frames, 3, iterations=5).inertia[-1] == pytest.approx(0, abs=1e-6)


def test_with_fewer_values_than_centroids_those_left_over_are_counted_empty():
    frames = torch.tensor([[0.0], [1.0]]).repeat(30, 1)
    found = fitted(frames, 5)
    assert found.num_empty == 3
    assert found.inertia[-1] == 0


@pytest.mark.parametrize("compute_dtype", ["float32", "bfloat16"])
def test_the_same_bits_on_a_second_run_and_with_one_or_two_threads(compute_dtype):
    frames, before, found = made(9000, 33).half(), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 2, 1):
            torch.set_num_threads(threads)
            fit = fitted(frames, 50, iterations=4, compute_dtype=compute_dtype)
            found.append(fit.centroids.numpy().tobytes() + fit.inertia.numpy().tobytes())
    finally:
        torch.set_num_threads(before)
    assert len(set(found)) == 1


def test_another_generator_draws_other_frames():
    frames = made(300, 4)
    first, second = (fitted(frames, 9, iterations=1, seed=seed) for seed in (0, 1))
    assert not torch.equal(first.centroids, second.centroids)


def test_bfloat16_ends_near_the_inertia_of_float32():
    frames = made(3000, 64, groups=60)
    wide, narrow = (fitted(frames, 40, compute_dtype=d) for d in ("float32", "bfloat16"))
    assert not torch.equal(wide.inertia, narrow.inertia)
    assert narrow.inertia[-1] == pytest.approx(float(wide.inertia[-1]), rel=0.03)
    assert narrow.centroids.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_standardising_on_the_way_equals_standardising_before(dtype, monkeypatch):
    monkeypatch.setattr(kmeans, "BLOCK_ROWS", 50)
    frames = (20 * made(220, 6) + 40).to(dtype)
    mean, scale = frames.float().mean(0), 1 / frames.float().std(0)
    found = fitted(frames, 8, mean=mean, scale=scale)
    before = fitted((frames.float() - mean) * scale, 8)
    assert torch.equal(found.centroids, before.centroids)
    assert torch.equal(found.inertia, before.inertia)


def test_once_nothing_moves_the_curve_keeps_its_last_value():
    frames = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    for compute_dtype in ("float32", "bfloat16"):
        found = fitted(frames, 2, iterations=50, compute_dtype=compute_dtype)
        assert found.inertia.shape == (50,)
        assert found.inertia[-40:].tolist() == [0.25] * 40


def test_what_cannot_be_fitted_is_refused():
    frames = made(5, 3)
    with pytest.raises(ParamsError, match=r"found 5 frames, wanted .* k = 6 centroids; lower k"):
        fitted(frames, 6)
    with pytest.raises(ParamsError, match="k is 0"):
        fitted(frames, 0)
    with pytest.raises(ParamsError, match="iterations is 0"):
        fitted(frames, 2, iterations=0)
    with pytest.raises(ParamsError, match="compute_dtype is 'int8'"):
        fitted(frames, 2, compute_dtype="int8")
    with pytest.raises(ShapeError, match=r"frames \(5, 3\), mean \(2,\)"):
        fitted(frames, 2, mean=torch.zeros(2))
    with pytest.raises(ShapeError, match=r"frames \(5, 3\) and centroids \(2, 4\)"):
        nearest(frames, torch.zeros(2, 4))
    frames[2, 1] = float("inf")
    with pytest.raises(ParamsError, match="not finite"):
        fitted(frames, 2)
