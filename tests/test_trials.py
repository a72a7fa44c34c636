"""Files of trials: by hand, and every combination of what `each` names."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import ParamsError
from pipeline.heads.catalogue import head_kind
from pipeline.heads.phase import OptimiserConfig
from pipeline.heads.twin import TwinConfig
from pipeline.training.config import TrainConfig
from stages.params import Params
from stages.systems import Trial, read_trials, system_of, systems_of

REPOSITORY = Path(__file__).parents[1]


def trials(tmp_path: Path, text: str) -> dict[str, Trial]:
    (tmp_path / "t.yaml").write_text(text)
    return read_trials(tmp_path / "t.yaml")


def test_each_makes_a_trial_of_every_combination(tmp_path: Path) -> None:
    text = """
"{head}-{layer}":
  each: {head: [mlp, linear], layer: {last: 11, first: 0}}
  train.head: "{head}"
  train.{head}.layer: "{layer}"
  train.{head}.view: "codes-{fold}"
plain: {train.seed: 3}
"""
    view = 'view="codes-{fold}"'
    assert {name: one.changes for name, one in trials(tmp_path, text).items()} == {
        "mlp-last": ['train.head="mlp"', "train.mlp.layer=11", f"train.mlp.{view}"],
        "mlp-first": ['train.head="mlp"', "train.mlp.layer=0", f"train.mlp.{view}"],
        "linear-last": ['train.head="linear"', "train.linear.layer=11", f"train.linear.{view}"],
        "linear-first": ['train.head="linear"', "train.linear.layer=0", f"train.linear.{view}"],
        "plain": ["train.seed=3"],
    }


def test_a_value_that_is_a_placeholder_keeps_its_type(tmp_path: Path) -> None:
    text = """
"a-{layers}{with}":
  each: {layers: {all: [], two: [0, 2]}, with: {"": "", +e: e}}
  train.tokens.layers: "{layers}"
  train.tokens.acoustics: "{with}"
"""
    assert [(name, one.changes) for name, one in trials(tmp_path, text).items()] == [
        ("a-all", ["train.tokens.layers=[]", 'train.tokens.acoustics=""']),
        ("a-all+e", ["train.tokens.layers=[]", 'train.tokens.acoustics="e"']),
        ("a-two", ["train.tokens.layers=[0, 2]", 'train.tokens.acoustics=""']),
        ("a-two+e", ["train.tokens.layers=[0, 2]", 'train.tokens.acoustics="e"']),
    ]


def test_a_trial_stands_on_a_file_of_parameters_in_place_of_those_in_use(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("train: {head: mlp, num_steps: 7, seed: 2}\n")
    (tmp_path / "t.yaml").write_text(f"""
"{{head}}":
  each: {{head: [own]}}
  params: "{tmp_path}/{{head}}.yaml"
  train.seed: 3
in-use: {{train.seed: 4}}
""")
    found = systems_of((), [str(tmp_path / "t.yaml")], Params(None, ("train.num_steps=9",)))
    assert found["own"] == system_of(Params(own, ("train.seed=3",)))
    assert (found["own"].train.num_steps, found["in-use"].train.num_steps) == (7, 9)


def test_a_trial_says_whose_texts_it_reads(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_text("gold: {texts: gold, train.seed: 3}\nas-is: {train.seed: 3}\n")
    found = systems_of((), [str(tmp_path / "t.yaml")], Params(None, ()))
    assert replace(found["gold"], texts="") == found["as-is"] != found["gold"]
    (tmp_path / "t.yaml").write_text("heard: {texts: asr}\n")
    with pytest.raises(ParamsError, match="texts: found 'asr', wanted 'gold' or none"):
        systems_of((), [str(tmp_path / "t.yaml")], Params(None, ()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: {params: 3}", "t.yaml: a.params: found 3, wanted"),
        ("a: {texts: 3}", "t.yaml: a.texts: found 3, wanted"),
        ("a: {each: {k: 3}, train.seed: 1}", "t.yaml: a.each.k: found 3, wanted a list"),
        ("a: {each: [1, 2], train.seed: 1}", "t.yaml: a.each: found [1, 2], wanted names and"),
        ("a: {each: {k: []}}", "t.yaml: a.each.k: names no value"),
        ("a: {each: {k: [1, 2]}, train.seed: '{k}'}", "t.yaml: 'a' gives 'a' twice; name each"),
        ("'{k}': {each: {k: [a/b]}}", "'a/b' cannot name a file"),
    ],
)
def test_what_each_cannot_make_trials_of_is_refused(tmp_path, text: str, message: str) -> None:
    with pytest.raises(ParamsError) as refusal:
        trials(tmp_path, text)
    assert message in str(refusal.value)


@pytest.mark.parametrize("name", ["tokens", "tokens_small"])
def test_the_studies_that_ship_are_trials_of_their_presets(name: str) -> None:
    params = Params(REPOSITORY / f"params/{name}.yaml", ())
    found = systems_of((), [str(REPOSITORY / f"params/trials/{name}.yaml")], params)
    layers = 24 if name == "tokens" else 4
    sections = {key: system.train.head_config for key, system in found.items()}
    for layer in range(1, layers + 1):
        assert sections[f"frames-{layer}"].layers == (layer - 1,)
        for size in params.content["tokenise"]["k"] if name == "tokens" else (256, 512, 1000, 2000):
            one = sections[f"codes-{size}-{layer}"]
            assert (one.view, one.layers) == (f"codes-{size}-{{fold}}", (layer - 1,))
            assert one.acoustics == ""
    joined = [one for one in sections.values() if getattr(one, "acoustics", "") == "functionals"]
    assert {"codes", "frames", "none"} <= {one.input for one in joined}
    assert sections["codes-all-mean"].fusion == "mean"
    assert sections["egemaps"].input == "none"
    assert {found[f"{head}-means"].train.head for head in ("genser", "logreg")} == {
        "genser",
        "logreg",
    }


@pytest.mark.parametrize("name", ["emoq", "emoq_small"])
def test_the_studies_of_emoq_differ_from_their_preset_in_one_part(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    params = Params(REPOSITORY / f"params/{name}.yaml", ())
    found = systems_of((), [f"params/trials/{name}.yaml"], Params(None, ()))
    whole = found["whole"]
    assert systems_of(("emoq",), [], params)["emoq"] == whole
    config = whole.train.head_config
    assert (config.input, config.mal) == ("emoq", "both")
    assert config.stage1_steps > 0
    differing = {
        key: {
            field: value
            for field, value in vars(system.train.head_config).items()
            if value != vars(config)[field]
        }
        for key, system in found.items()
    }
    assert differing == {
        "whole": {},
        "audio": {"input": "audio"},
        "text": {"input": "text"},
        "both": {"input": "both"},
        "loss-none": {"mal": "none"},
        "loss-focal": {"mal": "focal"},
        "loss-contrastive": {"mal": "scl"},
        "without-stage1": {"stage1_steps": 0},
    }


def test_emoq_on_text_is_its_preset_on_text_and_one_training_scored_in_two_ways(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REPOSITORY)
    names = ("emoq_text", "text_baselines", "emoq_baselines")
    files = [f"params/trials/{name}.yaml" for name in names]
    found = systems_of((), files, Params(None, ()))
    one, uniform = found["emoq-text"], found["emoq-text-uniform"]
    assert uniform.train == one.train
    assert (one.score.prior, uniform.score.prior) == ("train", "uniform")
    preset = system_of(Params(REPOSITORY / "params/emoq_small.yaml", ())).train.head_config
    assert one.train.head_config == replace(
        preset, input="text", lora_targets=one.train.head_config.lora_targets
    )
    views = {name: system.train.head_config for name, system in found.items() if "emoq" not in name}
    assert {name for name, head in views.items() if head.view == "text"} == {
        "text-logreg",
        "text-logreg-balanced",
        "text-mlp",
    }
    assert {name[:4] for name, head in views.items() if head.beside == "text"} == {"both"}


def test_each_head_has_what_it_was_tuned_to_where_parameters_are_silent(tmp_path: Path) -> None:
    systems = systems_of(("genser", "linear", "tokens"), (), Params(None, ()))
    for name, system in systems.items():
        tuned = head_kind(name).tuned
        assert (name == "tokens") == (not tuned)
        assert system.train.mixup == tuned.get("mixup", TrainConfig.mixup)
        optimiser = tuned.get("optimiser", {})
        assert system.train.optimiser == replace(OptimiserConfig(), **optimiser)
    assert systems["genser"] == system_of(Params(None, ()))


def test_what_is_given_goes_over_what_a_head_was_tuned_to_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("train:\n  mixup: 0.5\n  optimiser:\n  twin:\n")
    given = ("train.optimiser.beta1=0.5", "train.twin.trunk.num_blocks=1")
    made = systems_of(("twin",), (), Params(tmp_path / "p.yaml", given))["twin"].train
    alone = systems_of(("twin",), (), Params(None, ()))["twin"].train
    assert made.mixup == 0.5
    assert made.optimiser == replace(alone.optimiser, beta1=0.5)
    ours, tuned = made.head_config, alone.head_config
    assert ours == replace(tuned, trunk=replace(tuned.trunk, num_blocks=1))
    assert ours.condition != TwinConfig().condition


def test_a_head_that_is_no_name_is_refused_as_such() -> None:
    with pytest.raises(ParamsError, match=r"train.head: found 3, wanted text"):
        system_of(Params(None, ("train.head=3",)))
    with pytest.raises(ParamsError, match=r"train.head: 'x' is not one of"):
        system_of(Params(None, ("train.head=x",)))
