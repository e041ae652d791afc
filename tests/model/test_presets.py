"""Presets: published sizes on the meta device, and the FLOPs formula against torch's counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from openuni.cli.list import rows
from openuni.errors import BadInput
from openuni.model.config import ModelConfig, read_config, write_config
from openuni.model.flops import forward_flops, tokens_of, training_flops
from openuni.model.network import UnityVideo
from openuni.model.renderings.config import RenderingConfig
from openuni.model.sampler import SAMPLERS
from openuni.model.tasks import TaskConfig
from openuni.table import MODEL_PRESETS, load
from tests.model.tiny import CONFIG, map_stream, rgb_stream, unity

ADDED = {"wan_1_3b": 616_256, "wan22_5b": 3_592_128, "wan_14b": 2_053_440, "paper_10b": 1_642_816}
PUBLIC = {
    "wan_1_3b": 1_418_996_800,
    "wan22_5b": 4_999_787_712,
    "wan_14b": 14_288_491_584,
    "paper_10b": 10_088_521_792,
}


def preset(name):
    return load("model preset", MODEL_PRESETS, name)()


@pytest.mark.parametrize("name", ADDED)
def test_parameters_are_the_public_networks_and_what_the_facts_say_is_added(name):
    with torch.device("meta"):
        network = UnityVideo(**preset(name).network)
    added = sum(tensor.numel() for key, tensor in network.named_parameters() if key.startswith("modality_"))
    assert added == ADDED[name]
    assert sum(tensor.numel() for tensor in network.parameters()) - added == PUBLIC[name]
    assert preset(name).published_parameters == PUBLIC[name]


def test_tiny_preset_is_small_and_its_codec_and_text_fit_it():
    chosen = preset("tiny_cpu")
    network = UnityVideo(**chosen.network)
    assert sum(tensor.numel() for tensor in network.parameters()) < 3_000_000
    from openuni.model.codec.patch import PatchCodec

    assert PatchCodec(**chosen.model.codec_options).channels == chosen.network["in_channels"]
    assert chosen.model.text_options["dim"] == chosen.network["text_dim"]


@pytest.mark.parametrize("name", MODEL_PRESETS)
def test_every_preset_has_a_sampler_that_its_training_allows(name):
    chosen = preset(name)
    assert chosen.model.sampler in SAMPLERS
    SAMPLERS[chosen.model.sampler].guidance.check(chosen.model.tasks)
    assert chosen.about and (chosen.init or "from nothing" in chosen.about)


@pytest.mark.parametrize("streams", [1, 2, 3])
def test_flops_formula_is_within_3_percent_of_torchs_counter(streams):
    network = unity(num_layers=2)
    given = [rgb_stream(batch=1), *(map_stream(batch=1, seed=k) for k in range(1, streams))]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(given)
    tokens = [tokens_of(network.config, tuple(given[0].latent.shape[2:]))] * streams
    formula = forward_flops(network.config, tokens, prompt_tokens=given[0].text.shape[1])
    assert formula == pytest.approx(counter.get_total_flops(), rel=0.03)
    assert training_flops(network.config, tokens, prompt_tokens=6) == 3 * formula


def test_flops_of_wan_1_3b_are_the_published_order():
    """Wan2.1-1.3B, 480x832x81, one stream of 32,760 tokens: 283 TFLOP forward (calculated apart, docs/model.md)."""
    network = preset("wan_1_3b").network | {"attention_head_dim": 128, "patch_size": (1, 2, 2), "text_dim": 4096}
    network |= {"freq_dim": 256, "in_channels": 16, "out_channels": 16}
    tokens = tokens_of(network, (21, 60, 104))
    assert tokens == 32_760
    assert forward_flops(network, [tokens]) == pytest.approx(283e12, rel=0.01)


def test_list_presets_prints_parameters_tokens_and_flops():
    found = {row["preset"]: row for row in rows("models")}
    assert set(found) == set(MODEL_PRESETS)
    assert found["wan_1_3b"]["parameters"] == "1,419.6 M"
    assert found["wan_1_3b"]["tokens"] == "2 x 32,760"
    assert float(found["wan_1_3b"]["tflop_per_clip"].replace(",", "")) == pytest.approx(3 * 962, rel=0.02)


def test_config_comes_back_from_its_file(tmp_path):
    config = preset("wan22_5b").model
    write_config(tmp_path, config)
    assert read_config(tmp_path) == config
    assert read_config(tmp_path / "elsewhere") is None
    changed = ModelConfig(tasks=TaskConfig(drop_caption=0.2), rendering=RenderingConfig(max_instances=4))
    write_config(tmp_path, changed)
    assert read_config(tmp_path) == changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "must be a JSON object, got list"),
        ('{"format": 99}', "must have format 1, got 99"),
        ('{"format": 1, "colour": 3}', "unknown keys: colour. Known: codec,"),
        ('{"format": 1, "codec": "vqgan"}', "Unknown codec 'vqgan'"),
        ('{"format": 1, "tasks": {"speed": 1}}', "cannot be read: .*speed"),
    ],
)
def test_damaged_configs_are_named(tmp_path, text, message):
    (tmp_path / "openuni.json").write_text(text)
    with pytest.raises(BadInput, match=message):
        read_config(tmp_path)


def test_config_shapes_are_the_networks_own():
    assert set(CONFIG) <= set(unity().config)
