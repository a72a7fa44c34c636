"""What EmoQ is and takes, told before a weight is read: against the paper's sizes and the thing."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from helpers.berts import save_bert
from helpers.commands import genser, refused
from helpers.emoq import SMALL, Made, config_of, make
from helpers.language import save_language_model
from helpers.training import train_into
from pipeline.heads.catalogue import build_head, head_kind
from pipeline.heads.cost import reckon
from pipeline.heads.emoq_config import EmoQConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.phase import OptimiserConfig, Phase
from pipeline.language import cost as language_cost
from pipeline.language.adapters import add_adapters, set_training
from pipeline.language.answers import Prompts, answer_losses
from pipeline.language.loading import LanguageModel, outline_language_model

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")
PRESET = Path(__file__).parent.parent / "params/emoq.yaml"
SHAPES = {"frames": FeatureShape(num_layers=2, dim=24, last_layer=1, input_layer=0)}
PHASE = Phase(name="train", num_steps=4, batch_size=8, optimiser=OptimiserConfig())


@pytest.fixture(scope="module")
def configurations(tmp_path_factory) -> tuple[Path, Path]:
    """Folders that hold a config.json and nothing else: of Qwen2.5-7B and of RoBERTa-base."""
    folder = tmp_path_factory.mktemp("configurations")
    qwen = transformers.Qwen2Config(
        vocab_size=152064,
        hidden_size=3584,
        num_hidden_layers=28,
        num_attention_heads=28,
        num_key_value_heads=4,
        intermediate_size=18944,
        tie_word_embeddings=False,
    )
    roberta = transformers.RobertaConfig(
        vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5
    )
    for name, config in (("qwen", qwen), ("roberta", roberta)):
        config.save_pretrained(folder / name)
        assert [p.name for p in (folder / name).iterdir()] == ["config.json"]
    return folder / "qwen", folder / "roberta"


def inspected(*settings: str) -> dict:
    words = [word for one in settings for word in ("-S", f"train.emoq.{one}")]
    done = genser(*words, "inspect", PRESET, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def gigabytes(text: str) -> float:
    number, unit = text.split()
    assert unit == "GB"
    return float(number)


def test_the_paper_s_setting_is_told_without_weights(configurations):
    qwen, roberta = configurations
    facts = inspected(f"language={qwen}", f"former={roberta}")
    counts = {n: int(v.split()[0].replace(",", "")) for n, v in facts["parameters"].items()}
    assert counts["language model"] == 7_615_616_512
    # LoRA of rank 8 on q (3584 to 3584) and v (3584 to 512) of 28 blocks.
    assert counts["adapters"] == 28 * 8 * (3584 + 3584 + 3584 + 512)
    assert counts["former"] == pytest.approx(195e6, rel=0.03)
    own = ("adapters", "former", "projector")
    assert counts["trained in answers"] == sum(counts[name] for name in own)
    assert counts["trained in mal"] == counts["former"] + counts["auxiliary"]
    memory = {name: gigabytes(told) for name, told in facts["memory"].items()}
    assert memory["frozen"] == 15.2
    assert memory["in all without checkpointing"] == pytest.approx(23, rel=0.1)
    assert memory["in all with gradient checkpointing"] < 24
    assert next(name for name in memory if "all" in name) == "in all with gradient checkpointing"


def test_four_bits_take_half_the_memory_and_other_inputs_have_fewer_parts(configurations):
    qwen, roberta = configurations
    four = inspected(f"language={qwen}", f"former={roberta}", "base_dtype=nf4")
    assert gigabytes(four["memory"]["in all with gradient checkpointing"]) == pytest.approx(12, 0.1)
    text = inspected(f"language={qwen}", "input=text", "stage1_steps=0")
    assert set(text["parameters"]) == {"language model", "adapters", "trained in answers"}
    both = inspected(f"language={qwen}", "input=both")
    assert {"pooling", "projector"} < set(both["parameters"])


def test_what_is_not_at_hand_is_one_plain_line(configurations):
    qwen, _ = configurations
    told = inspected()["parameters"]
    assert told.startswith("unknown until Qwen/Qwen2.5-7B-Instruct@")
    assert "and FacebookAI/roberta-base@" in told
    told = inspected(f"language={qwen}")["parameters"]
    assert told.startswith("unknown until FacebookAI/roberta-base@")
    assert "memory" not in inspected(f"language={qwen}")


def test_a_checkpoint_of_another_kind_is_one_line(configurations, tmp_path):
    qwen, _ = configurations
    transformers.Wav2Vec2Config().save_pretrained(tmp_path)
    for strange in ({"language": tmp_path, "former": qwen}, {"language": qwen, "former": tmp_path}):
        words = [w for name, path in strange.items() for w in ("-S", f"train.emoq.{name}={path}")]
        said = refused(*words, "inspect", PRESET)
        assert "is a 'wav2vec2' model, wanted" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"former": "bert"},
        {"input": "both"},
        {"input": "audio", "stage1_steps": 0},
        {"input": "text"},
        {"base_dtype": "bfloat16", "gradient_checkpointing": True},
    ],
)
def test_it_counts_what_the_head_really_is(tmp_path: Path, section: dict):
    language = save_language_model(tmp_path / "language")
    if "former" in section:
        section = {**section, "former": str(save_bert(tmp_path / "bert", "roberta"))}
    config = EmoQConfig(**{**SMALL, "language": str(language), **section})
    cost = reckon(head_kind("emoq").head, SHAPES, 3, config, phase=PHASE, itemsize=4)
    head = build_head("emoq", SHAPES, 3, config)
    base = {n: p for n, p in head.model.network.named_parameters() if "lora_" not in n}
    own = [*head.parameters(), *head.adapters.values()]
    assert cost.num == sum(p.numel() for p in [*base.values(), *own])
    assert cost.weight_bytes == sum(p.numel() * p.element_size() for p in [*base.values(), *own])
    for phase in head.phases(PHASE):
        trained = head.enter(phase)
        assert cost.num_trained[phase.name] == sum(p.numel() for p in trained.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("num_clips", [2, 8])
def test_the_formula_of_activations_is_what_a_step_keeps(dtype, num_clips):
    config = transformers.Qwen2Config(
        vocab_size=500,
        hidden_size=128,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=512,
    )
    network = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).eval()
    network.requires_grad_(requires_grad=False)
    model = LanguageModel(spelling="made", digest="", network=network, tokeniser=None)
    add_adapters(model, rank=2, alpha=2, dropout=0.1, targets=["q_proj", "v_proj"], where="here")
    set_training(model, mode=True)
    network.set_attn_implementation("sdpa")  # as on a GPU, which the formula is of
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            kept[place] = tensor
        return tensor

    # The answer's last token is not read.
    own = [[5] * (language_cost.OWN_TOKENS - 2) for _ in range(num_clips)]
    prompts = Prompts(shared=[3] * language_cost.SHARED_TOKENS, own=own, soft={})
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        answer_losses(model, prompts, [[5, 6, 7]] * num_clips, [[1.0] * 3] * num_clips)
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    told = language_cost.activation_bytes(
        model, num_clips=num_clips, num_adapted=2, is_checkpointed=False
    )
    assert told == pytest.approx(measured, rel=0.1)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


def test_a_trained_head_is_inspected_without_its_language_model(made, tmp_path, monkeypatch):
    config = config_of(made, num_steps=2, stage1_steps=2)
    train_into(tmp_path / "head", made.corpus.manifest, made.corpus.store, config)
    told = json.loads(genser("inspect", tmp_path / "head", "--json").stdout)
    for weights in made.language.glob("*.safetensors"):
        weights.rename(weights.with_suffix(".away"))
    try:
        again = json.loads(genser("inspect", tmp_path / "head", "--json").stdout)
    finally:
        for weights in made.language.glob("*.away"):
            weights.rename(weights.with_suffix(".safetensors"))
    assert again == told
    assert told["parameters"]["adapters"].startswith("4,352 ")
    assert "in all without checkpointing" in told["memory"]
    made.language.rename(tmp_path / "elsewhere")
    try:
        lost = json.loads(genser("inspect", tmp_path / "head", "--json").stdout)
    finally:
        (tmp_path / "elsewhere").rename(made.language)
    assert lost["parameters"].startswith(f"unknown until {made.language} is at hand")


def test_a_language_model_is_outlined_without_a_tokeniser(configurations):
    model = outline_language_model(
        str(configurations[0]), base_dtype="bfloat16", gradient_checkpointing=False, where="here"
    )
    assert len(model.tokeniser) == 152064
