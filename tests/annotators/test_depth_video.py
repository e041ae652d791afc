"""Adapters of video depth models: a stand-in of their published interface, written as the packages lie on a disk."""

import sys
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.annotators.depth_video import DepthAnything3, VideoDepthAnythingSmall, windows
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.modality import modality

VIDEO_DEPTH = """
import numpy as np, torch
class VideoDepthAnything(torch.nn.Module):
    def __init__(self, encoder, features, out_channels, num_frames=32):
        super().__init__()
        assert (encoder, features, out_channels) == ("vits", 64, [48, 96, 192, 384])
        self.scale = torch.nn.Parameter(torch.ones(1))
    def infer_video_depth(self, frames, target_fps, input_size=518, device="cuda", fp32=False):
        self.called = (target_fps, input_size, device, fp32)
        return frames[..., 0].astype(np.float32) * self.scale.item(), target_fps
"""

API = '''
import numpy as np, torch
from pathlib import Path
from types import SimpleNamespace
class DepthAnything3(torch.nn.Module):
    windows = 0
    @classmethod
    def from_pretrained(cls, folder):
        assert (Path(folder) / "config.json").is_file()
        return cls()
    def inference(self, image, process_res=504):
        """Depth of half the size; disparity under a scale and shift of the window's own."""
        type(self).windows += 1
        small = np.stack([one[::2, ::2] for one in image]).astype(np.float32)
        disparity = (small[..., 0] + 20) * (1 + 0.3 * self.windows) + 4 * self.windows
        if self.flip and self.windows > 1:
            disparity = 2000 - disparity
        return SimpleNamespace(depth=1 / disparity, sky=small[..., 2] > 200, conf=None)
    flip = False
'''


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Both packages on the path and files where weights belong."""
    for package, module, text in (
        ("video_depth_anything", "video_depth", VIDEO_DEPTH),
        ("depth_anything_3", "api", API),
    ):
        (tmp_path / "src" / package).mkdir(parents=True)
        (tmp_path / "src" / package / "__init__.py").write_text("")
        (tmp_path / "src" / package / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path / "src")
    folder = tmp_path / "weights" / "Video-Depth-Anything-Small"
    folder.mkdir(parents=True)
    torch.save({"scale": torch.tensor([3.0])}, folder / "video_depth_anything_vits.pth")
    (tmp_path / "weights" / "DA3MONO-LARGE").mkdir()
    (tmp_path / "weights" / "DA3MONO-LARGE" / "config.json").write_text("{}")
    (tmp_path / "weights" / "DA3MONO-LARGE" / "model.safetensors").write_bytes(b"weights")
    yield tmp_path / "weights"
    for name in [
        name for name in sys.modules if name.partition(".")[0] in ("video_depth_anything", "depth_anything_3")
    ]:
        del sys.modules[name]


def view(rgb):
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb, fps=12.0))


def ramp(count, height=16, width=24):
    """Frames whose red is the disparity, growing to the right and over time."""
    rgb = np.zeros((count, height, width, 3), np.uint8)
    rgb[..., 0] = np.linspace(40, 160, width)[None, None] + 2 * np.arange(count)[:, None, None]
    return rgb


def test_video_depth_anything_is_called_as_its_run_script_does(installed):
    stage = VideoDepthAnythingSmall(weights=str(installed), device="cpu")
    stage.setup()
    rgb = ramp(5)
    result = stage(view(rgb))
    assert stage.network.called == (12.0, 518, "cpu", True)
    assert np.allclose(result.map.data, 3.0 * rgb[..., 0])  # the file's weights are in the network
    modality("depth").check(result.map)


def test_without_the_package_the_line_says_what_brings_it(tmp_path):
    with pytest.raises(BadInput, match="Expert video-depth-anything-small needs video_depth_anything: a checkout of"):
        VideoDepthAnythingSmall(weights=str(tmp_path))


def made(installed, **settings):
    stage = DepthAnything3(weights=str(installed), device="cpu", **settings)
    stage.setup()
    return stage


def test_depth_anything_3_windows_are_brought_into_one_scale_and_depth_becomes_disparity(installed):
    rgb = ramp(20)
    stage = made(installed, window=8, overlap=4)
    data = stage(view(rgb)).map.data
    assert type(stage.network).windows == 4
    expected = rgb[..., 0].astype(float) + 20
    # One scale and shift for the clip: the correlation over all frames is that of each frame.
    assert np.corrcoef(data[:, :, 2:-2].ravel(), expected[:, :, 2:-2].ravel())[0, 1] > 0.999
    middle = data[:, 8, 12]
    steps = np.diff(middle)
    assert steps.min() > 0 and steps.max() < 1.2 * steps.min()  # no jump where windows meet


def test_depth_anything_3_sky_is_farthest(installed):
    rgb = ramp(6)
    rgb[:, :6, :, 2] = 255
    result = made(installed)(view(rgb))
    assert result.scores["sky_fraction"] == pytest.approx(0.375, abs=0.1)
    assert (result.map.data[:, :4] == result.map.data.min()).all()


def test_windows_that_contradict_each_other_are_absent(installed):
    stage = made(installed, window=8, overlap=4)
    type(stage.network).flip = True
    with pytest.raises(Absent, match="inconsistent"):
        stage(view(ramp(12)))


def test_windows_overlap_and_end_with_the_clip():
    assert windows(20, 8, 4) == [(0, 8), (4, 12), (8, 16), (12, 20)]
    assert windows(10, 8, 4) == [(0, 8), (2, 10)]
    assert windows(5, 8, 4) == [(0, 5)]
    for count in range(1, 40):
        found = windows(count, 8, 3)
        assert {t for start, end in found for t in range(start, end)} == set(range(count))
        assert all(before[1] - after[0] >= 3 for before, after in pairwise(found))


def test_an_overlap_of_a_whole_window_is_refused(installed):
    with pytest.raises(BadInput, match="depth.overlap must be 1 to depth.window - 1, got 8 and 8"):
        DepthAnything3(weights=str(installed), window=8, overlap=8)
