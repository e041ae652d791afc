"""OpenAI's CLIP files: read without running their code, equal to transformers' tower, refused if not CLIP."""

import io
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from openuni.annotators.openai_clip import is_torchscript, load_openai_vision, read_torchscript
from openuni.errors import BadInput
from tests.benchmark.vbench.seeded import seeded

SHAPES = json.loads((Path(__file__).parents[1] / "golden/vbench/numbers.json").read_text())["shapes"]["clip"]


class Visual(nn.Module):
    """OpenAI's image tower of two blocks, from torch's own parts."""

    def __init__(self, state):
        super().__init__()
        width = len(state["visual.class_embedding"])
        self.conv1 = nn.Conv2d(3, width, 32, stride=32, bias=False)
        self.class_embedding = nn.Parameter(state["visual.class_embedding"])
        self.positional_embedding = nn.Parameter(state["visual.positional_embedding"])
        self.proj = nn.Parameter(state["visual.proj"])
        self.ln_pre, self.ln_post = nn.LayerNorm(width), nn.LayerNorm(width)
        self.transformer = nn.ModuleDict({"resblocks": nn.ModuleList([Block(width) for _ in range(2)])})
        self.load_state_dict({name.removeprefix("visual."): value for name, value in state.items()})

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(len(x), 1, -1), x], dim=1) + self.positional_embedding
        x = self.ln_pre(x)
        for block in self.transformer["resblocks"]:
            x = block(x)
        return self.ln_post(x[:, 0]) @ self.proj


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, width // 64, batch_first=True)
        self.mlp = nn.ModuleDict({"c_fc": nn.Linear(width, 4 * width), "c_proj": nn.Linear(4 * width, width)})

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        y = self.mlp["c_fc"](self.ln_2(x))
        return x + self.mlp["c_proj"](y * torch.sigmoid(1.702 * y))


class Archived(nn.Module):
    """As the published archive: parameters under `visual` in half precision, numbers and a buffer beside them."""

    def __init__(self, state):
        super().__init__()
        for name, value in state.items():
            *folders, last = name.split(".")
            node = self
            for folder in folders:
                if folder not in dict(node.named_children()):
                    node.add_module(folder, nn.Module())
                node = node.get_submodule(folder)
            node.register_parameter(last, nn.Parameter(value, requires_grad=False))
        self.register_buffer("input_resolution", torch.tensor(224))
        self.version = 2

    def forward(self, x):
        return x + self.version


@pytest.fixture(scope="module")
def state():
    return {name: seeded(name, shape).half() for name, shape in SHAPES.items() if name.startswith("visual.")}


@pytest.fixture(scope="module")
def visual(state):
    return Visual({name: value.float() for name, value in state.items()}).eval()


@pytest.fixture(scope="module")
def archive(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "ViT-B-32.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, the published files stay what they are
        torch.jit.save(torch.jit.script(Archived(state)), path)
    return path


@torch.inference_mode()
def test_an_archive_gives_the_features_that_its_own_network_gives(archive, visual):
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert is_torchscript(archive)
    model = load_openai_vision(archive)
    found = model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output)
    torch.testing.assert_close(found, visual(pixels), rtol=1e-4, atol=1e-5)


def test_tensors_of_an_archive_are_those_that_torch_reads(archive):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = torch.jit.load(archive).state_dict()
    found = read_torchscript(archive)
    assert set(found) == set(own)
    assert all(torch.equal(found[name], own[name]) for name in own)


def test_a_plain_file_with_the_same_names_is_read_too(state, visual, tmp_path):
    torch.save(state, tmp_path / "ViT-B-32.pt")
    assert not is_torchscript(tmp_path / "ViT-B-32.pt")
    model = load_openai_vision(tmp_path / "ViT-B-32.pt")
    assert torch.equal(model.visual_projection.weight, visual.proj.T)


class Harmful:
    def __reduce__(self):
        return (Path.touch, (Path("harmed"),))


def test_nothing_in_an_archive_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "ViT-B-32.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/code/a.py", "")
        file.writestr("x/data.pkl", pickle.dumps(Harmful()))
    with pytest.raises(BadInput, match="it asks for pathlib"):
        load_openai_vision(path)
    assert not Path("harmed").exists()


@pytest.mark.parametrize("damage", ["cut", "empty", "other"])
def test_a_damaged_or_other_file_is_said_in_one_line(archive, tmp_path, damage):
    path = tmp_path / "ViT-B-32.pt"
    if damage == "other":
        torch.save({"pos_embed": torch.zeros(1)}, path)
    else:
        path.write_bytes(archive.read_bytes()[: 1000 if damage == "cut" else 0])
    with pytest.raises(BadInput, match="another network than CLIP|cannot be read as weights") as raised:
        load_openai_vision(path)
    assert "\n" not in str(raised.value)


def test_storage_views_come_out_as_they_went_in(tmp_path):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Parameter(torch.arange(12.0).reshape(3, 4).T[1:], requires_grad=False)

        def forward(self, x):
            return x + self.a.sum()

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(Odd()), file)
    (tmp_path / "odd.pt").write_bytes(file.getvalue())
    assert torch.equal(read_torchscript(tmp_path / "odd.pt")["a"], torch.arange(12.0).reshape(3, 4).T[1:])
