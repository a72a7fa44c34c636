from collections.abc import Callable

import numpy as np
import pytest
import torch

from pipeline.errors import HeadError, ParamsError
from pipeline.heads.catalogue import build_head
from pipeline.heads.condition import ConditionConfig
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.phase import OptimiserConfig
from pipeline.heads.standardiser import Standardiser
from pipeline.heads.trunk import TrunkConfig
from pipeline.progress import Silence
from pipeline.sources.source import Source
from pipeline.training import loop, phase_loop
from pipeline.training.batches import LabelledClips, TrainingClips
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import TrainConfig
from pipeline.training.loop import Selection, train_head
from pipeline.training.phase_loop import dev_scores
from pipeline.training.targets import one_hot
from pipeline.training.weighting import weigh_rows

SMALL = GenSERConfig(
    trunk=TrunkConfig(width=8, num_blocks=1, num_heads=2, dropout=0.3),
    condition=ConditionConfig(kind="sum"),
)
SHAPES = {"layers": FeatureShape(num_layers=4, dim=16, last_layer=3, input_layer=0)}


def make_features(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three classes whose last layer differs in its mean: learnable, and not at once."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    features = generator.normal(size=(num, 4, 16)).astype(np.float32)
    features[np.arange(num), 3, labels] += 2.0
    return features, labels


def clips_of(source: Source, labels: np.ndarray) -> TrainingClips:
    """Clips of one corpus, a speaker for each class, as `train_rows` makes them."""
    targets = one_hot(labels, 3)
    corpora = np.full(len(labels), "made")
    return TrainingClips(
        source=source,
        labels=labels,
        speakers=labels.astype(str),
        targets=targets,
        weighting=weigh_rows(targets, corpora, balance="none", corpus_temperature=1.0),
    )


def make_config(**values) -> TrainConfig:
    base = {
        "num_steps": 12,
        "batch_size": 16,
        "eval_every": 3,
        "select_by": "ua",
        "heads": {"genser": SMALL},
        "optimiser": OptimiserConfig(learning_rate=0.01, ema_decay=0.9),
    }
    return TrainConfig(**{**base, **values})


@pytest.fixture
def train(array_source) -> Callable[..., Selection]:
    def run(folder, config: TrainConfig, checkpoints: Checkpoints | None = None) -> Selection:
        features, labels = make_features(60, 0)
        torch.manual_seed(config.seed)
        head = build_head("genser", SHAPES, 3, config.head_config)
        standardiser = Standardiser(4, 16, kind=config.standardise)
        standardiser.fit([features])
        others, other_labels = make_features(30, 1)
        return train_head(
            head,
            clips_of(array_source(features, standardiser), labels),
            LabelledClips(source=array_source(others, standardiser), labels=other_labels),
            config,
            checkpoints=checkpoints or Checkpoints(folder, "test"),
            device="cpu",
            reporter=Silence(),
        )

    return run


def weights(fit: Selection) -> dict[str, torch.Tensor]:
    return fit.head.state_dict()


def assert_same(a: Selection, b: Selection) -> None:
    for name, tensor in weights(a).items():
        assert torch.equal(tensor, weights(b)[name]), name
    assert a.link == b.link
    assert a.curves.equals(b.curves)


class KilledError(Exception):
    pass


class Deadly(Checkpoints):
    """Dies right after, or right before, its n-th save."""

    def __init__(self, folder, *, after: int, before: bool) -> None:
        super().__init__(folder, "test")
        self.left, self.before = after, before

    def save(self, state):
        self.left -= 1
        if not self.left and self.before:
            raise KilledError
        super().save(state)
        if not self.left:
            raise KilledError


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("after", [1, 2, 3, 4])
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    tmp_path, after, before, train
):
    config = make_config()
    undisturbed = train(tmp_path / "whole", config)
    with pytest.raises(KilledError):
        train(None, config, Deadly(tmp_path / "killed", after=after, before=before))
    torch.rand(7)  # what a new process draws before must not matter
    assert_same(train(tmp_path / "killed", config), undisturbed)


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path, train):
    first, again, other = (
        train(tmp_path / str(i), make_config(seed=seed)) for i, seed in enumerate((0, 0, 1))
    )
    assert_same(first, again)
    assert not torch.equal(
        weights(first)["condition.of.weights"], weights(other)["condition.of.weights"]
    )


def test_training_leaves_the_callers_generator_alone(tmp_path, array_source):
    torch.manual_seed(5)
    head_draws = torch.get_rng_state()
    config = make_config(num_steps=3)
    features, labels = make_features(20, 0)
    with torch.random.fork_rng():
        head = build_head("genser", SHAPES, 3, config.head_config)
    clips = clips_of(array_source(features, Standardiser(4, 16)), labels)
    train_head(
        head,
        clips,
        clips,
        config,
        checkpoints=Checkpoints(tmp_path, "x"),
        device="cpu",
        reporter=Silence(),
    )
    assert torch.equal(torch.get_rng_state(), head_draws)


def test_it_learns(tmp_path, train):
    genser = GenSERConfig(sigma=1.0, trunk=TrunkConfig(width=32, num_blocks=1, num_heads=2))
    fit = train(tmp_path, make_config(num_steps=200, eval_every=50, heads={"genser": genser}))
    # Chance is .33, the Bayes rate about .8; seeded, so this is no matter of luck.
    assert fit.dev["ua"] > 0.55
    assert fit.curves["train_loss"].iloc[-1] < fit.curves["train_loss"].iloc[0]


def test_the_best_look_at_dev_is_kept(tmp_path, train):
    fit = train(tmp_path, make_config(num_steps=60, eval_every=5, select_by="wa"))
    best = fit.curves["dev_wa"].max()
    assert fit.dev["wa"] == best
    # Of equally good ones the first: later ones have trained longer for nothing.
    assert fit.best_step == fit.curves["step"][fit.curves["dev_wa"].argmax()]


def test_what_the_chosen_look_scored_on_dev_is_not_scored_again(tmp_path, train, monkeypatch):
    looks = []

    def counted(*args):
        looks.append(dev_scores(*args))
        return looks[-1]

    monkeypatch.setattr(phase_loop, "dev_scores", counted)
    monkeypatch.setattr(loop, "dev_scores", counted)
    fit = train(tmp_path, make_config())
    assert len(looks) == len(fit.curves) == 4
    (best,) = [values for values, _ in looks if values == fit.dev]
    assert best["ua"] == fit.curves["dev_ua"].max()


def test_it_stops_when_dev_no_longer_improves(tmp_path, train):
    config = make_config(
        num_steps=500, patience=2, optimiser=OptimiserConfig(learning_rate=0.0, ema_decay=0.0)
    )
    fit = train(tmp_path, config)
    assert fit.curves["step"].tolist() == [3, 6, 9]


def test_a_checkpoint_of_other_parameters_is_not_taken_up(tmp_path, train):
    config = make_config()
    with pytest.raises(KilledError):
        train(None, config, Deadly(tmp_path, after=2, before=False))
    assert Checkpoints(tmp_path, "test").load("cpu") is not None
    assert Checkpoints(tmp_path, "other").load("cpu") is None


def test_a_damaged_checkpoint_is_not_taken_up(tmp_path, train):
    with pytest.raises(KilledError):
        train(None, make_config(), Deadly(tmp_path, after=2, before=False))
    (file,) = tmp_path.glob("checkpoint-*.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert Checkpoints(tmp_path, "test").load("cpu") is None
    assert_same(train(tmp_path, make_config()), train(tmp_path / "whole", make_config()))


def test_a_cleared_checkpoint_leaves_nothing(tmp_path, train):
    checkpoints = Checkpoints(tmp_path, "test")
    train(None, make_config(), checkpoints)
    checkpoints.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_is_refused(tmp_path, array_source):
    features, labels = make_features(30, 0)
    features[:, 3] = np.inf
    clips = clips_of(array_source(features, Standardiser(4, 16)), labels)
    config = make_config()
    with pytest.raises(HeadError, match=r"^train: diverged in step 1: found a loss of nan"):
        train_head(
            build_head("genser", SHAPES, 3, config.head_config),
            clips,
            clips,
            config,
            checkpoints=Checkpoints(tmp_path, "x"),
            device="cpu",
            reporter=Silence(),
        )


def test_bfloat16_trains_to_about_the_same_loss(tmp_path, train):
    full = train(tmp_path / "a", make_config())
    half = train(tmp_path / "b", make_config(precision="bfloat16"))
    # bf16 keeps 8 bits: a few per cent after a dozen steps.
    np.testing.assert_allclose(half.curves["train_loss"], full.curves["train_loss"], rtol=0.05)
    assert not torch.equal(
        weights(half)["condition.of.weights"], weights(full)["condition.of.weights"]
    )


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"head": "svm"}, "train.head: 'svm'"),
        ({"precision": "float16"}, "train.precision: 'float16'"),
        ({"select_by": "accuracy"}, "train.select_by: 'accuracy'"),
        ({"num_steps": 0}, "train.num_steps: 0 is below 1"),
        ({"standardise": "speaker"}, "train.standardise: 'speaker'"),
    ],
)
def test_bad_settings_are_refused_by_name(values, named):
    with pytest.raises(ParamsError, match=named):
        make_config(**values)


def test_the_last_weights_are_kept_where_dev_is_not_asked(tmp_path, train):
    best, last = (train(tmp_path / by, make_config(select_by=by)) for by in ("ua", "last"))
    assert last.best_step == 12
    assert best.curves.equals(last.curves)
    assert best.best_step == best.curves["step"][best.curves["dev_ua"].idxmax()]
