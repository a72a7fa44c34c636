"""What each step of the head of descriptors does, under either reading of "alternating"."""

import pytest

from pipeline.errors import ParamsError
from pipeline.heads.descriptors_config import DescriptorsConfig, DescriptorsScoring
from pipeline.heads.descriptors_stages import phases_of, trained_in, turn_of
from pipeline.heads.phase import OptimiserConfig, Phase

DEFAULT = Phase(name="train", num_steps=40, batch_size=4, optimiser=OptimiserConfig())
CONTENT, DESCRIPTOR = "content", "descriptor"


def steps_of(**section: object) -> list[list[tuple[str, tuple[str, ...]]]]:
    """Return what the first eight steps of each phase say and train."""
    config = DescriptorsConfig(**section)
    found = []
    for phase in phases_of(config, DEFAULT):
        turns = [turn_of(config, phase, step) for step in range(8)]
        found.append([("t" * t.transcribes + "a" * t.answers, t.trains) for t in turns])
        assert {name for t in turns for name in t.trains} == set(trained_in(config, phase))
    return found


def test_two_stages_follow_one_another_and_the_second_goes_back_every_fourth_batch():
    first, second = steps_of()
    assert first == [("t", (CONTENT,))] * 8
    assert second == [*[("a", (DESCRIPTOR,))] * 3, ("t", ())] * 2


def test_rounds_repeat_the_pair_under_names_of_their_own():
    config = DescriptorsConfig(rounds=2, stage1_steps=7, stage1_learning_rate=0.5)
    phases = phases_of(config, DEFAULT)
    assert [phase.name for phase in phases] == [
        "content", "descriptors", "content 2", "descriptors 2",
    ]  # fmt: skip
    assert [phase.num_steps for phase in phases] == [7, 40, 7, 40]
    assert [phase.select_by for phase in phases] == ["ce", "last"] * 2
    assert phases[2].optimiser.learning_rate == 0.5
    assert steps_of(rounds=2)[2:] == steps_of()


def test_batches_alternate_within_one_phase_of_all_steps():
    (phase,) = phases_of(DescriptorsConfig(alternate="batches", stage1_steps=10), DEFAULT)
    assert (phase.name, phase.num_steps) == ("alternating", 50)
    assert steps_of(alternate="batches") == [[("t", (CONTENT,)), ("a", (DESCRIPTOR,))] * 4]


def test_jointly_every_step_does_and_trains_all():
    assert steps_of(stages="joint") == [[("ta", (CONTENT, DESCRIPTOR))] * 8]


def test_a_single_branch_is_trained_by_all_steps():
    every = (CONTENT,)
    first, second = steps_of(branches="one")
    assert first == [("t", every)] * 8
    assert second == [*[("a", every)] * 3, ("t", every)] * 2
    assert steps_of(branches="one", stages="joint") == [[("ta", every)] * 8]


@pytest.mark.parametrize("section", [{"replay_every": 0}, {"stage1_steps": 0}])
def test_nothing_is_done_again_that_was_not_done_or_asked_for(section):
    assert steps_of(**section)[-1] == [("a", (DESCRIPTOR,))] * 8


def test_clips_without_texts_are_not_transcribed_again():
    config = DescriptorsConfig()
    stage2 = phases_of(config, DEFAULT)[1]
    assert turn_of(config, stage2, 3, has_texts=False) == turn_of(config, stage2, 0)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"branches": "three"}, r"branches: 'three' is not one of \['two', 'one'\]"),
        ({"stages": "one"}, r"stages: 'one' is not one of"),
        ({"stage1_select_by": "ua"}, r"stage1_select_by: 'ua' is not one of \['ce', 'last'\]"),
        ({"width": 0}, r"width: 0 is below 1"),
        ({"beta_last": 0.0}, r"beta_last: 0\.0 is not above 0"),
        ({"layers": (1, 1)}, r"layers: \[1, 1\] names one twice"),
        ({"stages": "joint", "rounds": 2}, r"rounds: 2 is of two stages one after the other"),
        ({"alternate": "batches", "rounds": 2}, r"rounds: 2 is of two stages"),
        ({"stages": "joint", "alternate": "batches"}, r"alternate: 'batches' is of two stages"),
        ({"alternate": "batches", "stage1_steps": 0}, r"stage1_steps: 0 leaves nothing to"),
        ({"lora_dropout": 1.0}, r"lora_dropout: wanted at least 0 and below 1"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(section, message):
    with pytest.raises(ParamsError, match=rf"^train\.descriptors\.{message}"):
        DescriptorsConfig(**section)


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"condition": "true"}, r"condition: 'true' is not one of"),
        ({"max_tokens": 0}, r"max_tokens: 0 is below 1"),
    ],
)
def test_ways_of_scoring_that_there_are_not_are_one_line(section, message):
    with pytest.raises(ParamsError, match=rf"^score\.descriptors\.{message}"):
        DescriptorsScoring(**section)
