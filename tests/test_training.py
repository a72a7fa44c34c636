import copy

import numpy as np
import pytest
import torch

from pipeline.errors import HeadError, ParamsError
from pipeline.heads.base import FeatureShape
from pipeline.heads.catalogue import build_head
from pipeline.heads.condition import ConditionConfig
from pipeline.heads.genser import GenSERConfig
from pipeline.heads.standardiser import Standardiser
from pipeline.heads.trunk import TrunkConfig
from pipeline.progress import Silence
from pipeline.training.batches import TrainingFeatures
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import TrainConfig
from pipeline.training.loop import Fit, train_head
from pipeline.training.optimisation import OptimiserConfig
from pipeline.training.targets import one_hot
from pipeline.training.weighting import weigh_rows

SHAPE = FeatureShape(num_layers=4, dim=16, last_row=3, input_row=0)


def make_rows(num: int, seed: int) -> TrainingFeatures:
    """Three classes whose last layer differs in its mean: learnable, and not at once."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num) % 3
    features = generator.normal(size=(num, 4, 16)).astype(np.float32)
    features[np.arange(num), 3, labels] += 2.0
    return labelled(features, labels)


def labelled(features: np.ndarray, labels: np.ndarray) -> TrainingFeatures:
    """Rows of one corpus, a speaker for each class, as `fit_rows` makes them."""
    targets = one_hot(labels, 3)
    corpora = np.full(len(labels), "made")
    return TrainingFeatures(
        features=features,
        labels=labels,
        speakers=labels.astype(str),
        targets=targets,
        weighting=weigh_rows(targets, corpora, balance="none", corpus_temperature=1.0),
        groups=corpora,
    )


def make_config(**values) -> TrainConfig:
    base = {
        "num_steps": 12,
        "batch_size": 16,
        "eval_every": 3,
        "select_by": "ua",
        "genser": GenSERConfig(
            trunk=TrunkConfig(width=8, num_blocks=1, num_heads=2, dropout=0.3),
            condition=ConditionConfig(kind="sum"),
        ),
        "optimiser": OptimiserConfig(learning_rate=0.01, ema_decay=0.9),
    }
    return TrainConfig(**{**base, **values})


def train(folder, config: TrainConfig, checkpoints: Checkpoints | None = None) -> Fit:
    rows = make_rows(60, 0)
    torch.manual_seed(config.seed)
    head = build_head("genser", SHAPE, 3, config.genser)
    standardiser = Standardiser(4, 16, kind=config.standardise)
    standardiser.fit(rows.features)
    return train_head(
        head,
        standardiser,
        rows,
        make_rows(30, 1),
        config,
        checkpoints=checkpoints or Checkpoints(folder, "test"),
        device="cpu",
        reporter=Silence(),
    )


def weights(fit: Fit) -> dict[str, torch.Tensor]:
    return fit.head.state_dict()


def assert_same(a: Fit, b: Fit) -> None:
    for name, tensor in weights(a).items():
        assert torch.equal(tensor, weights(b)[name]), name
    assert a.temperature == b.temperature
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
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path, after, before):
    config = make_config()
    undisturbed = train(tmp_path / "whole", config)
    with pytest.raises(KilledError):
        train(None, config, Deadly(tmp_path / "killed", after=after, before=before))
    torch.rand(7)  # what a new process draws before must not matter
    assert_same(train(tmp_path / "killed", config), undisturbed)


def test_the_same_seed_gives_the_same_weights_and_another_others(tmp_path):
    first, again, other = (
        train(tmp_path / str(i), make_config(seed=seed)) for i, seed in enumerate((0, 0, 1))
    )
    assert_same(first, again)
    assert not torch.equal(
        weights(first)["condition.of.weights"], weights(other)["condition.of.weights"]
    )


def test_training_leaves_the_callers_generator_alone(tmp_path):
    torch.manual_seed(5)
    head_draws = torch.get_rng_state()
    config = make_config(num_steps=3)
    rows = make_rows(20, 0)
    standardiser = Standardiser(4, 16)
    with torch.random.fork_rng():
        head = build_head("genser", SHAPE, 3, config.genser)
    train_head(
        head,
        standardiser,
        rows,
        rows,
        config,
        checkpoints=Checkpoints(tmp_path, "x"),
        device="cpu",
        reporter=Silence(),
    )
    assert torch.equal(torch.get_rng_state(), head_draws)


def test_it_learns(tmp_path):
    genser = GenSERConfig(sigma=1.0, trunk=TrunkConfig(width=32, num_blocks=1, num_heads=2))
    fit = train(tmp_path, make_config(num_steps=200, eval_every=50, genser=genser))
    # Chance is .33, the Bayes rate about .8; seeded, so this is no matter of luck.
    assert fit.dev["ua"] > 0.55
    assert fit.curves["train_loss"].iloc[-1] < fit.curves["train_loss"].iloc[0]


def test_the_best_look_at_dev_is_kept(tmp_path):
    fit = train(tmp_path, make_config(num_steps=60, eval_every=5, select_by="wa"))
    best = fit.curves["dev_wa"].max()
    assert fit.dev["wa"] == best
    # Of equally good ones the first: later ones have trained longer for nothing.
    assert fit.best_step == fit.curves["step"][fit.curves["dev_wa"].argmax()]


def test_it_stops_when_dev_no_longer_improves(tmp_path):
    config = make_config(
        num_steps=500, patience=2, optimiser=OptimiserConfig(learning_rate=0.0, ema_decay=0.0)
    )
    fit = train(tmp_path, config)
    assert fit.curves["step"].tolist() == [3, 6, 9]


def test_a_checkpoint_of_other_parameters_is_not_taken_up(tmp_path):
    config = make_config()
    with pytest.raises(KilledError):
        train(None, config, Deadly(tmp_path, after=2, before=False))
    assert Checkpoints(tmp_path, "test").load("cpu") is not None
    assert Checkpoints(tmp_path, "other").load("cpu") is None


def test_a_damaged_checkpoint_is_not_taken_up(tmp_path):
    with pytest.raises(KilledError):
        train(None, make_config(), Deadly(tmp_path, after=2, before=False))
    (file,) = tmp_path.glob("checkpoint-*.pt")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert Checkpoints(tmp_path, "test").load("cpu") is None
    assert_same(train(tmp_path, make_config()), train(tmp_path / "whole", make_config()))


def test_a_cleared_checkpoint_leaves_nothing(tmp_path):
    checkpoints = Checkpoints(tmp_path, "test")
    train(None, make_config(), checkpoints)
    checkpoints.clear()
    assert list(tmp_path.iterdir()) == []


def test_a_loss_that_is_not_finite_is_refused(tmp_path):
    rows = make_rows(30, 0)
    bad = copy.deepcopy(rows.features)
    bad[:, 3] = np.inf
    config = make_config()
    with pytest.raises(HeadError, match="loss is"):
        train_head(
            build_head("genser", SHAPE, 3, config.genser),
            Standardiser(4, 16),
            labelled(bad, rows.labels),
            rows,
            config,
            checkpoints=Checkpoints(tmp_path, "x"),
            device="cpu",
            reporter=Silence(),
        )


def test_bfloat16_trains_to_about_the_same_loss(tmp_path):
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


def test_the_last_weights_are_kept_where_dev_is_not_asked(tmp_path):
    best, last = (train(tmp_path / by, make_config(select_by=by)) for by in ("ua", "last"))
    assert last.best_step == 12
    assert best.curves.equals(last.curves)
    assert best.best_step == best.curves["step"][best.curves["dev_ua"].idxmax()]
