"""Video codecs: grids, exactness of patch, equality of wan with diffusers' own pipelines."""

import json
import sys

import numpy as np
import pytest
import torch

from openuni.errors import BadInput, MissingWeights
from openuni.model.codec.frames import frames_to_tensor, tensor_to_frames
from openuni.model.codec.patch import PatchCodec
from openuni.model.codec.wan import WanCodec
from openuni.table import CODECS, load
from tests.model.tiny_wan import save_tiny_wan, tiny_vae


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def folder22(tmp_path_factory):
    return save_tiny_wan(tmp_path_factory.mktemp("wan22"), residual=True)


def plain(folder):
    """The VAE as diffusers loads it, without our codec."""
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan.from_pretrained(folder, subfolder="vae")


def clip(length, height, width, *, batch=1, seed=0):
    """Smooth noise in -1..1: a small random picture, enlarged and drifting."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(batch, 3, 2 + length // 4, height // 8, width // 8, generator=generator) * 2 - 1
    return torch.nn.functional.interpolate(coarse, size=(length, height, width), mode="trilinear")


def test_frames_come_back_exactly_for_every_level_and_dtype():
    frames = np.arange(256, dtype=np.uint8).reshape(2, 8, 16, 1).repeat(3, axis=3)
    frames[..., 1] = frames[::-1, ::-1, ::-1, 2]
    tensor = frames_to_tensor(frames)
    assert tensor.shape == (1, 3, 2, 8, 16)
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.allclose(tensor[0, :, 1, 2, 3], frames[1, 2, 3] / 127.5 - 1, atol=1e-7)  # float32 against float64
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        assert np.array_equal(tensor_to_frames(tensor.to(dtype)), frames)


def test_frames_that_are_no_pictures_are_refused():
    with pytest.raises(ValueError, match=r"frames must be \(T, H, W, 3\) uint8, got \(2, 4, 4\) uint8"):
        frames_to_tensor(np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"uint8, got \(2, 4, 4, 3\) float32"):
        frames_to_tensor(np.zeros((2, 4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"tensor must be \(1, 3, T, H, W\) floating point, got \(2, 3, 1, 4, 4\)"):
        tensor_to_frames(torch.zeros(2, 3, 1, 4, 4))
    with pytest.raises(ValueError, match="tensor holds 48 values that are not finite"):
        tensor_to_frames(torch.full((1, 3, 1, 4, 4), float("nan")))


@pytest.mark.parametrize("size", [1, 3, 4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_patch_is_exact_and_orders_channels_as_pixel_unshuffle(size, dtype):
    codec = PatchCodec(size)
    frames = (torch.rand(2, 3, 5, 12, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1).to(dtype)
    latents = codec.encode(frames)
    assert latents.shape == (2, *codec.latent_shape(5, 12, 24)) == (2, 3 * size**2, 5, 12 // size, 24 // size)
    for t in range(5):
        assert torch.equal(latents[:, :, t], torch.nn.functional.pixel_unshuffle(frames[:, :, t], size))
    assert torch.equal(codec.decode(latents), frames)


def test_a_clip_off_the_grid_is_refused_with_the_nearest_sizes(folder):
    wan = WanCodec(folder)
    assert wan.stride == (4, 8, 8)
    assert wan.latent_shape(81, 480, 832) == (4, 21, 60, 104)
    message = (
        "codec wan: num_frames must be 4n+1, got 16: use 13 or 17; "
        "height must be a multiple of 8, got 250: use 248 or 256; width must be a multiple of 8, got 3: use 8"
    )
    with pytest.raises(ValueError) as error:
        wan.latent_shape(16, 250, 3)
    assert str(error.value) == message
    with pytest.raises(ValueError, match=r"num_frames must be 4n\+1, got 6: use 5 or 9$"):
        wan.encode(torch.zeros(1, 3, 6, 16, 16))
    with pytest.raises(ValueError, match="codec patch: num_frames must be at least 1, got 0: use 1$"):
        PatchCodec(4).latent_shape(0, 8, 8)
    with pytest.raises(BadInput, match="codec patch: size must be 1 or more pixels, got 0"):
        PatchCodec(0)


@pytest.mark.parametrize("name", CODECS)
def test_tensors_of_another_form_are_refused(name, folder):
    codec = load("codec", CODECS, name)(*([folder] if name == "wan" else []))
    with pytest.raises(ValueError, match=rf"codec {name}: frames must be \(B, 3, T, H, W\) .* got \(1, 5, 3, 8, 8\)"):
        codec.encode(torch.zeros(1, 5, 3, 8, 8))
    with pytest.raises(ValueError, match=r"torch.uint8: frames_to_tensor makes them"):
        codec.encode(torch.zeros(1, 3, 5, 8, 8, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"frames must be in -1..1, got 0 to 255: frames_to_tensor scales"):
        codec.encode(torch.linspace(0, 255, 3 * 64).reshape(1, 3, 1, 8, 8))
    with pytest.raises(ValueError, match=r"frames must be in -1..1, got nan to nan"):
        codec.encode(torch.full((1, 3, 1, 8, 8), torch.nan))
    with pytest.raises(ValueError, match=rf"latents must be \(B, {codec.channels}, F, h, w\) .* got \(1, 7, 2, 2, 2\)"):
        codec.decode(torch.zeros(1, 7, 2, 2, 2))


@pytest.mark.parametrize(("residual", "stride"), [(False, 8), (True, 16)])
def test_wan_encodes_and_decodes_shapes_of_both_versions(residual, stride, folder, folder22):
    codec = WanCodec(folder22 if residual else folder)
    frames = clip(5, 32, 48, batch=2)
    latents = codec.encode(frames)
    assert codec.stride == (4, stride, stride)
    assert latents.shape == (2, *codec.latent_shape(5, 32, 48)) == (2, 4, 2, 32 // stride, 48 // stride)
    assert codec.decode(latents).shape == frames.shape


def test_wan_latents_are_those_that_the_image_pipelines_condition_on(folder, folder22):
    from diffusers import WanImageToVideoPipeline

    for path, expand in ((folder, False), (folder22, True)):
        codec = WanCodec(path)
        pipeline = WanImageToVideoPipeline(
            tokenizer=None, text_encoder=None, vae=plain(path), scheduler=None, expand_timesteps=expand
        )
        picture = clip(1, 32, 48)[:, :, 0]
        zeros = torch.zeros(1, *codec.latent_shape(5, 32, 48))
        if expand:  # Wan 2.2 TI2V: the picture alone is encoded
            frames = picture[:, :, None]
        else:  # Wan 2.1 I2V: the picture, then grey
            frames = torch.cat([picture[:, :, None], torch.zeros(1, 3, 4, 32, 48)], dim=2)
        given = pipeline.prepare_latents(
            picture, 1, num_channels_latents=4, height=32, width=48, num_frames=5, dtype=torch.float32, latents=zeros
        )[1]
        assert torch.equal(given[:, -4:], codec.encode(frames))


def test_wan_decodes_latents_as_the_text_pipeline_does(folder):
    from diffusers import UniPCMultistepScheduler, WanPipeline, WanTransformer3DModel

    codec = WanCodec(folder)
    network = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        ffn_dim=16,
        num_layers=1,
    )
    pipeline = WanPipeline(None, None, plain(folder), UniPCMultistepScheduler(), network)
    pipeline.set_progress_bar_config(disable=True)
    ask = dict(prompt_embeds=torch.randn(1, 8, 16), guidance_scale=1.0, num_inference_steps=1, num_frames=5)
    outputs = {
        kind: pipeline(**ask, height=32, width=48, output_type=kind, generator=torch.Generator().manual_seed(3)).frames
        for kind in ("latent", "pt")
    }
    frames = codec.decode(outputs["latent"])  # (1, 3, T, H, W) in -1..1; the pipeline gives (1, T, 3, H, W) in 0..1
    assert torch.equal(outputs["pt"], (frames.transpose(1, 2) * 0.5 + 0.5).clamp(0, 1))


def test_windows_in_time_give_the_same_numbers_as_growing_clips(folder):
    codec = WanCodec(folder)
    frames = clip(17, 16, 16)
    whole = codec.encode(frames)
    decoded = codec.decode(whole)
    for length in (1, 5, 9):
        latents = codec.encode(frames[:, :, :length])
        # Bit for bit on most processors; on some, convolutions of other lengths are summed in another order.
        torch.testing.assert_close(latents, whole[:, :, : latents.shape[2]], rtol=0, atol=1e-5)
        torch.testing.assert_close(codec.decode(latents), decoded[:, :, :length], rtol=0, atol=1e-5)


def test_the_network_never_sees_more_than_one_window(folder):
    codec = WanCodec(folder)
    seen = []
    codec.vae.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[:3]))
    codec.vae.decoder.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[:3]))
    latents = codec.encode(clip(9, 16, 16, batch=2))
    assert seen == 2 * [(1, 3, 1), (1, 3, 4), (1, 3, 4)]
    seen.clear()
    codec.decode(latents)
    assert seen == 2 * [(1, 3, 1), (1, 3, 4), (1, 3, 4)]


def test_frames_and_latents_in_another_dtype_are_brought_to_the_codecs(folder):
    codec = WanCodec(folder, dtype=torch.bfloat16)
    latents = codec.encode(clip(5, 16, 16))
    assert latents.dtype == torch.float32
    assert codec.decode(latents).dtype == torch.bfloat16
    exact = WanCodec(folder)
    halves = clip(5, 16, 16).half()
    assert torch.equal(exact.encode(halves), exact.encode(halves.float()))


@pytest.mark.parametrize("residual", [False, True])
def test_tiles_are_those_of_diffusers_and_change_nothing_where_one_is_enough(residual, folder, folder22):
    path = folder22 if residual else folder
    whole, tiled = WanCodec(path), WanCodec(path, tiling=True, tile_px=64, tile_stride_px=32)
    vae = plain(path)
    vae.enable_tiling(64, 64, 32, 32)
    mean, std = (torch.tensor(values).view(1, 4, 1, 1, 1) for values in (tiled.mean, tiled.std))
    small, large = clip(5, 64, 64), clip(5, 64, 160)
    assert torch.equal(tiled.encode(small), whole.encode(small))
    latents = tiled.encode(large)
    assert torch.equal(latents, (vae.encode(large).latent_dist.mode() - mean) * (1 / std))
    assert torch.equal(tiled.decode(latents), vae.decode(latents / (1 / std) + mean).sample)
    assert not torch.equal(latents, whole.encode(large))


def test_tiles_off_the_grid_are_refused(folder):
    with pytest.raises(BadInput, match="must be multiples of 8, the stride the smaller one, got 64 and 64"):
        WanCodec(folder, tiling=True, tile_px=64, tile_stride_px=64)
    with pytest.raises(BadInput, match="must be multiples of 8, the stride the smaller one, got 100 and 64"):
        WanCodec(folder, tiling=True, tile_px=100, tile_stride_px=64)


def test_missing_weights_say_what_where_and_how(tmp_path):
    with pytest.raises(MissingWeights) as error:
        WanCodec(tmp_path / "a" / "b")
    assert str(error.value) == (
        f"codec wan: folder {tmp_path}/a/b not found. Give a folder that holds vae/; to fill one: "
        "hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --include 'vae/*' --local-dir FOLDER"
    )
    with pytest.raises(
        MissingWeights, match=f"codec wan: {tmp_path} has no vae/config.json, vae/\\*.safetensors. Give a "
    ):
        WanCodec(tmp_path)
    tiny_vae().save_pretrained(tmp_path / "vae", safe_serialization=False)  # a pickle is not read
    with pytest.raises(MissingWeights, match=f"codec wan: {tmp_path} has no vae/\\*.safetensors. Give a "):
        WanCodec(tmp_path)


def test_a_hub_id_that_is_not_on_this_machine_is_missing_weights():
    with pytest.raises(
        MissingWeights, match=r"codec wan: nobody/nothing-here is no folder, and the Hub gave nothing \("
    ):
        WanCodec("nobody/nothing-here", local_files_only=True)


def test_a_checkpoint_of_another_network_is_refused(folder, tmp_path):
    tiny_vae().save_pretrained(tmp_path / "vae")
    config = json.loads((tmp_path / "vae" / "config.json").read_text())

    def refuse(match, **changes):
        (tmp_path / "vae" / "config.json").write_text(json.dumps(config | changes))
        with pytest.raises(BadInput, match=match):
            WanCodec(tmp_path)

    refuse("lacks .* more: it is for another network", num_res_blocks=2)
    refuse("must have 4 latents_mean and latents_std, one for each channel, got 3 and 4", latents_mean=[0, 0, 0])
    refuse("says scale_factor_temporal and _spatial 4 and 16, its network has 4 and 8", scale_factor_spatial=16)
    (tmp_path / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"torn")
    refuse("vae cannot be loaded: ")


def test_without_diffusers_one_line_says_what_to_install(folder, monkeypatch):
    monkeypatch.setattr("openuni.model.pretrained.find_spec", lambda name: None if name == "diffusers" else sys)
    with pytest.raises(BadInput) as error:
        WanCodec(folder)
    assert str(error.value) == "diffusers is not installed; codec wan needs it: pip install diffusers"
