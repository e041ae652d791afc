"""Exports: plain Wan that computes what the RGB half does, under both names, and our own form and back."""

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file

from openuni.errors import BadInput, UnknownName
from openuni.model import checkpoint
from openuni.model.config import ModelConfig
from openuni.model.export import export
from openuni.model.pipeline import Found, find
from openuni.model.renderings.config import tiny
from openuni.model.tasks import TaskConfig
from tests.model.tiny import map_stream, rgb_stream, trained, unity


@pytest.fixture
def model():
    config = ModelConfig(codec="patch", text="hash", rendering=tiny(), tasks=TaskConfig(drop_caption=0.2))
    return Found("a test <b>network</b>", trained(unity()), config, trained=True)


def answer(network, *streams):
    with torch.no_grad():
        return network(streams)


def test_openuni_form_loads_with_its_config(model, tmp_path):
    written = export(model, tmp_path / "out", "openuni")
    assert {path.name for path in written} >= {"config.json", "openuni.json", "README.md"}
    found = find(tmp_path / "out")
    assert found.config == model.config and found.trained
    for one, other in zip(
        answer(found.network, rgb_stream(), map_stream()),
        answer(model.network, rgb_stream(), map_stream()),
        strict=True,
    ):
        assert torch.equal(one, other)


def test_wan_diffusers_form_computes_what_the_rgb_half_does_with_a_trained_switcher(model, tmp_path):
    export(model, tmp_path / "out", "wan-diffusers")
    stock, report = WanTransformer3DModel.from_pretrained(
        tmp_path / "out", subfolder="transformer", output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    stream = rgb_stream()
    with torch.no_grad():
        found = stock(stream.latent, stream.t * 1000, stream.text, return_dict=False)[0]
    assert model.network.modality_table[0].abs().max() > 0.01
    torch.testing.assert_close(found, answer(model.network, stream)[0], atol=2e-6, rtol=1e-5)  # a bias was rounded


def test_wan_original_form_is_one_file_of_original_names_that_loads_again(model, tmp_path):
    export(model, tmp_path / "out", "wan-original")
    state = load_file(tmp_path / "out/model.safetensors")
    assert "blocks.0.self_attn.q.weight" in state and not any("modality" in name for name in state)
    loaded = checkpoint.load(tmp_path / "out")
    assert loaded.kind == "wan"
    stream = rgb_stream()
    torch.testing.assert_close(
        answer(loaded.network, stream)[0], answer(model.network, stream)[0], atol=2e-6, rtol=1e-5
    )


@pytest.mark.parametrize("format", ["openuni", "wan-diffusers", "wan-original"])
def test_every_form_has_a_card_without_markup_from_names(model, tmp_path, format):
    export(model, tmp_path / "out", format)
    text = (tmp_path / "out/README.md").read_text()
    assert text.startswith("---\nlibrary_name: ") and "<b>" not in text and "segmentation" in text
    import yaml

    front = yaml.safe_load(text.split("---")[1])
    assert front["pipeline_tag"] == "text-to-video"


def test_what_cannot_be_exported_is_named(model, tmp_path):
    with pytest.raises(UnknownName, match="Unknown format 'onnx'"):
        export(model, tmp_path / "out", "onnx")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    with pytest.raises(BadInput, match="is not an empty folder"):
        export(model, tmp_path / "full", "openuni")
    other = Found("x", unity(prediction="x0"), model.config, trained=True)
    with pytest.raises(BadInput, match="predicts x0, plain Wan velocity"):
        export(other, tmp_path / "out", "wan-original")
    assert not (tmp_path / "out").exists()
