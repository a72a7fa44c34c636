"""Prompts and answers of a language model: shared beginnings, soft tokens, scores, adapters."""

from pathlib import Path

import pytest
import torch

from helpers.language import save_language_model
from pipeline.dropout import Dropout
from pipeline.errors import EncoderError
from pipeline.language.adapters import adapters_of, add_adapters, set_training
from pipeline.language.answers import Dialogues, Prompts, answer_losses
from pipeline.language.loading import LanguageModel, load_language_model
from pipeline.language.prompt import Soft, chat_prompt

SYSTEM = "Answer with one of: joy, anger."
TEXTS = ("I am so happy to see you", "Go away", "No")
WORDS = ("joy", "anger", "melancholy")
PLACE = Soft(name="audio")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("language"))


def load(folder: Path, *, checkpointing: bool = False, dtype: str = "float32") -> LanguageModel:
    return load_language_model(
        str(folder), base_dtype=dtype, gradient_checkpointing=checkpointing, where="here"
    )


@pytest.fixture
def model(folder: Path) -> LanguageModel:
    return load(folder)


def prompts_of(model: LanguageModel, texts: tuple[str, ...] = TEXTS) -> Prompts:
    chat = chat_prompt(model, system=SYSTEM, answer="Emotion:", where="here")
    own = [chat.own_ids(model, [("Text: ", text), ("\nAudio: ", PLACE)]) for text in texts]
    made = torch.Generator().manual_seed(1)
    soft = torch.randn(len(TEXTS), 2, 32, generator=made)[: len(texts)]
    return Prompts(shared=chat.shared_ids(model), own=own, soft={"audio": soft})


def answers_of(model: LanguageModel) -> list[list[int]]:
    end = model.tokeniser.eos_token_id
    return [[*model.token_ids(f" {word}"), end] for word in WORDS]


def naive(model: LanguageModel, prompts: Prompts, clip: int, answer: list[int]) -> torch.Tensor:
    """Return log p of each token of an answer: the whole sequence of one clip, run at once."""
    pieces = [model.embeddings(torch.tensor(list(prompts.shared)))]
    for piece in prompts.own[clip]:
        soft = isinstance(piece, Soft)
        pieces.append(
            prompts.soft["audio"][clip] if soft else model.embeddings(torch.tensor([piece]))
        )
    pieces.append(model.embeddings(torch.tensor(answer)))
    logits = model.network(inputs_embeds=torch.cat(pieces)[None]).logits[0]
    said = logits[-len(answer) - 1 : -1].log_softmax(-1)
    return said[torch.arange(len(answer)), torch.tensor(answer)]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])  # on a CPU, and where there is a GPU
def test_scores_of_words_are_those_of_whole_sequences_one_by_one(
    model: LanguageModel, attention: str
) -> None:
    model.network.set_attn_implementation(attention)
    prompts, answers = prompts_of(model), answers_of(model)
    assert len(answers[2]) > 3  # a word of several tokens
    first, whole = Dialogues(model, prompts).log_probabilities(answers)
    for clip in range(len(TEXTS)):
        for c, answer in enumerate(answers):
            wanted = naive(model, prompts, clip, answer)
            torch.testing.assert_close(first[clip, c], wanted[0], atol=2e-6, rtol=0)
            torch.testing.assert_close(whole[clip, c], wanted.sum(), atol=2e-4, rtol=0)


def test_the_loss_is_minus_the_weighted_log_probability(model: LanguageModel) -> None:
    prompts, answers = prompts_of(model), answers_of(model)
    weights = [[5.0] * (len(answer) - 1) + [1.0] for answer in answers]
    losses, total = answer_losses(model, prompts, answers, weights)
    for clip, (answer, mine) in enumerate(zip(answers, weights, strict=True)):
        wanted = -(naive(model, prompts, clip, answer) * torch.tensor(mine)).sum()
        torch.testing.assert_close(losses[clip], wanted, atol=2e-4, rtol=0)
        assert total[clip] == sum(mine)


def test_checkpointed_gradients_are_those_of_a_shared_beginning(folder: Path) -> None:
    found = []
    for checkpointing in (False, True):
        model = load(folder, checkpointing=checkpointing)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            adapters = add_adapters(
                model, rank=2, alpha=4, dropout=0.0, targets=["q_proj"], where="here"
            )
            for adapter in adapters.values():
                torch.nn.init.normal_(adapter, std=0.1)
        set_training(model, mode=True)
        prompts = prompts_of(model)
        soft = prompts.soft["audio"].requires_grad_()
        weights = [[1.0] * len(answer) for answer in answers_of(model)]
        answer_losses(model, prompts, answers_of(model), weights)[0].sum().backward()
        assert soft.grad is not None
        found.append([soft.grad, *(adapter.grad for adapter in adapters.values())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_clip_alone_gets_what_it_gets_beside_longer_ones(model: LanguageModel) -> None:
    prompts, answers = prompts_of(model), answers_of(model)
    together = Dialogues(model, prompts).log_probabilities(answers)[1]
    alone = [Dialogues(model, prompts.chosen([i])).log_probabilities(answers)[1] for i in range(3)]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-6, rtol=0)


def test_several_soft_places_are_of_each_clip_s_own_length(model: LanguageModel) -> None:
    chat = chat_prompt(model, system=SYSTEM, answer="", where="here")
    places = [Soft(name="content"), Soft(name="voice")]
    parts = [("Speech: ", places[0]), ("\nVoice: ", places[1]), ("\nAnswer.", "")]
    made = torch.Generator().manual_seed(1)
    soft = {
        place.name: [torch.randn(length, 32, generator=made) for length in lengths]
        for place, lengths in zip(places, [(3, 1, 2), (1, 4, 2)], strict=True)
    }
    own = [chat.own_ids(model, parts)] * 3
    prompts = Prompts(shared=chat.shared_ids(model), own=own, soft=soft)
    answers = answers_of(model)
    together = Dialogues(model, prompts).log_probabilities(answers)[1]
    for clip in range(3):
        pieces = [
            soft[piece.name][clip]
            if isinstance(piece, Soft)
            else model.embeddings(torch.tensor([piece]))
            for piece in [*prompts.shared, *own[clip]]
        ]
        for one, answer in zip(together[clip], answers, strict=True):
            whole = torch.cat([*pieces, model.embeddings(torch.tensor(answer))])
            logits = model.network(inputs_embeds=whole[None]).logits[0, -1 - len(answer) : -1]
            wanted = logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum()
            torch.testing.assert_close(one, wanted, atol=2e-4, rtol=0)


def test_an_answer_ends_at_any_token_that_ends_it(model: LanguageModel) -> None:
    prompts = prompts_of(model)
    for clip, whole in enumerate(Dialogues(model, prompts).likeliest(most=6)):
        for place, token in enumerate(whole):
            cut = Dialogues(model, prompts.chosen([clip])).likeliest(most=6, ends=[token])[0]
            assert cut == whole[: whole.index(token)], place


def test_what_is_generated_is_the_likeliest_token_at_each_step(model: LanguageModel) -> None:
    prompts = prompts_of(model)
    for clip, said in enumerate(Dialogues(model, prompts).likeliest(most=4)):
        whole = Prompts(shared=[], own=prompts.own, soft=prompts.soft)
        for place in range(len(said)):
            begun = Prompts(
                shared=prompts.shared,
                own=[[*whole.own[clip], *said[:place]]],
                soft=prompts.chosen([clip]).soft,
            )
            every = [[token] for token in range(340)]
            first, _ = Dialogues(model, begun).log_probabilities(every)
            assert int(first.argmax()) == said[place]


def test_words_of_one_token_are_scored_by_it_alone(model: LanguageModel) -> None:
    prompts, words = prompts_of(model), [[7], [9], [11]]
    first, whole = Dialogues(model, prompts).log_probabilities(words)
    assert torch.equal(first, whole)
    mixed = Dialogues(model, prompts).log_probabilities([[7], [9, 4, 5], [11]])[1]
    torch.testing.assert_close(mixed[:, [0, 2]], first[:, [0, 2]])
    assert (mixed[:, 1] < first[:, 1]).all()


def test_what_is_read_on_counts_as_if_it_had_been_in_the_prompt(model: LanguageModel) -> None:
    prompts, answers = prompts_of(model), answers_of(model)
    read = Dialogues(model, prompts)
    # What has been asked before leaves nothing behind.
    said = read.likeliest(most=5)
    read.log_probabilities(answers)
    assert read.likeliest(most=5) == said
    own = list(prompts.own)
    for more in ([[5, 6, 7], [8], [9, 10]], [[11], [12, 13, 14], [15]]):
        read.go_on(more)
        own = [[*mine, *new] for mine, new in zip(own, more, strict=True)]
        whole = Dialogues(model, Prompts(shared=prompts.shared, own=own, soft=prompts.soft))
        for one, other in zip(
            read.log_probabilities(answers), whole.log_probabilities(answers), strict=True
        ):
            torch.testing.assert_close(one, other, atol=5e-6, rtol=0)
        assert read.likeliest(most=5) == whole.likeliest(most=5)


def test_new_adapters_change_nothing_and_trained_ones_do(model: LanguageModel) -> None:
    prompts, answers = prompts_of(model), answers_of(model)
    before = Dialogues(model, prompts).log_probabilities(answers)[1]
    digest = model.digest
    adapters = add_adapters(
        model, rank=2, alpha=4, dropout=0.5, targets=["q_proj", "v_proj"], where="here"
    )
    assert list(adapters) == list(adapters_of(model))
    assert {p.dtype for p in adapters.values()} == {torch.float32}
    torch.testing.assert_close(Dialogues(model, prompts).log_probabilities(answers)[1], before)
    for adapter in adapters.values():
        torch.nn.init.normal_(adapter)
    after = Dialogues(model, prompts).log_probabilities(answers)[1]
    assert not torch.allclose(after, before)
    trained = [n for n, p in model.network.named_parameters() if p.requires_grad]
    assert trained == list(adapters)
    assert model.digest == digest


@pytest.mark.parametrize("has_gpu", [True, False])
def test_attention_is_plain_where_gradients_are_taken_without_a_gpu(
    folder: Path,
    has_gpu: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    model = load(folder)
    set_training(model, mode=True)
    assert model.network.config._attn_implementation == ("sdpa" if has_gpu else "eager")
    set_training(model, mode=False)
    assert model.network.config._attn_implementation == "sdpa"


def test_plain_attention_has_the_losses_and_gradients_of_fused_attention(folder: Path) -> None:
    found = []
    for kind in ("eager", "sdpa"):
        model = load(folder)
        model.network.set_attn_implementation(kind)
        prompts, answers = prompts_of(model), answers_of(model)
        soft = prompts.soft["audio"].requires_grad_()
        losses, _ = answer_losses(model, prompts, answers, [[1.0] * len(one) for one in answers])
        losses.sum().backward()
        found.append((losses, soft.grad))
    torch.testing.assert_close(*found, atol=1e-5, rtol=1e-4)


def test_only_the_adapters_drop_out_in_training(model: LanguageModel) -> None:
    add_adapters(model, rank=2, alpha=4, dropout=0.5, targets=["q_proj"], where="here")
    set_training(model, mode=True)
    on = {name for name, module in model.network.named_modules() if module.training}
    assert any("lora_dropout" in name for name in on)
    drops = [module for _, module in model.network.named_modules() if isinstance(module, Dropout)]
    assert [drop.p for drop in drops] == [0.5] * model.network.config.num_hidden_layers
    assert not any("mlp" in name or name.endswith("self_attn") for name in on)
    set_training(model, mode=False)
    assert not any(module.training for module in model.network.modules())


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda f: (f / "config.json").unlink(), r"^here: .* cannot be loaded"),
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), r"^here: .* cannot be loaded"),
    ],
)
def test_a_model_that_is_not_whole_is_one_line(tmp_path: Path, break_it, message: str) -> None:
    folder = save_language_model(tmp_path / "m")
    break_it(folder)
    with pytest.raises(EncoderError, match=message):
        load(folder)


def test_layers_that_are_not_there_get_no_adapters(model: LanguageModel) -> None:
    with pytest.raises(EncoderError, match=r"^here.lora_targets: .* no layers of the names"):
        add_adapters(model, rank=2, alpha=4, dropout=0.0, targets=["w"], where="here")


def test_four_bits_take_a_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(EncoderError, match=r"^here: base_dtype nf4 takes a GPU, found none"):
        load(folder, dtype="nf4")


def test_equal_weights_have_one_digest_whatever_the_folder(folder: Path, tmp_path: Path) -> None:
    other = load(save_language_model(tmp_path / "m"))
    assert load(folder).digest == other.digest
    assert load(save_language_model(tmp_path / "n", seed=1)).digest != other.digest
    assert load(folder, dtype="bfloat16").digest != other.digest
