"""What the head of descriptors is and takes, told before a weight is read."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from helpers.commands import genser
from helpers.descriptors import SMALL
from helpers.language import save_language_model
from pipeline.heads import descriptors_cost
from pipeline.heads.batch import Ragged
from pipeline.heads.bottleneck import kl_to_normal
from pipeline.heads.branches import Branches
from pipeline.heads.catalogue import build_head, head_kind
from pipeline.heads.cost import reckon
from pipeline.heads.descriptors_config import DescriptorsConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.phase import OptimiserConfig, Phase

PRESET = Path(__file__).parent.parent / "params/descriptors.yaml"
SHAPE = FeatureShape(num_layers=3, dim=24, last_layer=2, input_layer=0)
PHASE = Phase(name="train", num_steps=4, batch_size=8, optimiser=OptimiserConfig())


def test_the_paper_s_setting_is_told_without_weights(tmp_path):
    config = transformers.LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=14336,
    )
    config.save_pretrained(tmp_path)
    words = ("-S", f"train.descriptors.language={tmp_path}")
    done = genser(*words, "inspect", PRESET, "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    counts = {n: int(v.split()[0].replace(",", "")) for n, v in facts["parameters"].items()}
    assert counts["language model"] == 8_030_261_248
    # LoRA of rank 8 on q, o (4096 to 4096) and k, v (4096 to 1024) of 32 blocks.
    assert counts["adapters"] == 32 * 8 * (2 * 8192 + 2 * 5120)
    branch = counts["content branch"]
    perceptron = 2 * 1024 + 1024 * 1024 + 1024 + 2 * (1024 * 256 + 256)
    adapter = 5 * 256 * 2048 + 2048 + 2048 * 4096 + 4096 + 2 * 4096 + 1
    assert branch == counts["descriptor branch"] == 6 + perceptron + adapter
    assert counts["trained in content"] == counts["trained in descriptors"]
    assert counts["trained in content"] == branch + counts["adapters"]
    memory = facts["memory"]
    assert memory["frozen"] == "16.1 GB"
    assert float(memory["in all with gradient checkpointing"].split()[0]) < 24
    assert float(memory["in all without checkpointing"].split()[0]) == pytest.approx(38, rel=0.05)


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"branches": "one", "stages": "joint"},
        {"shared_layers": True, "alternate": "batches"},
        {"base_dtype": "bfloat16", "gradient_checkpointing": True},
    ],
)
def test_it_counts_what_the_head_really_is(tmp_path: Path, section: dict):
    language = save_language_model(tmp_path / "language")
    config = DescriptorsConfig(**{**SMALL, "language": str(language), **section})
    shapes = {"frames": SHAPE}
    cost = reckon(head_kind("descriptors").head, shapes, 3, config, phase=PHASE, itemsize=4)
    head = build_head("descriptors", shapes, 3, config)
    base = [p for n, p in head.model.network.named_parameters() if "lora_" not in n]
    own = [*head.parameters(), *head.adapters.values()]
    assert cost.num == sum(p.numel() for p in [*base, *own])
    assert cost.weight_bytes == sum(p.numel() * p.element_size() for p in [*base, *own])
    for phase in head.phases(PHASE):
        trained = head.enter(phase)
        assert cost.num_trained[phase.name] == sum(p.numel() for p in trained.values())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_formula_of_a_branch_is_what_a_step_keeps(dtype):
    config = DescriptorsConfig(branches="one", hidden=96, width=32, projector_hidden=80)
    embeddings = torch.nn.Embedding(50, 64)
    branches = Branches(SHAPE, embeddings, config)
    values = torch.randn(2, descriptors_cost.FRAMES, 3, 24)
    frames = Ragged(values, torch.tensor([descriptors_cost.FRAMES] * 2))
    weights = {p.untyped_storage().data_ptr() for p in branches.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in weights:
            kept[place] = tensor
        return tensor

    with (
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16),
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        heard = branches(frames, trains=["content"], generator=torch.Generator().manual_seed(0))[
            "content"
        ]
        total = torch.cat(list(heard.soft)).sum() + kl_to_normal(heard.latent, frames.mask)
    total.backward()
    measured = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    told = 2 * descriptors_cost.branch_bytes(config, SHAPE, 64, itemsize=dtype.itemsize)
    assert told == pytest.approx(measured, rel=0.15)
