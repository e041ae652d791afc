"""The aesthetic filter: LAION's head on the library's own CLIP features, its scale, what is refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from openuni.errors import BadInput, MissingWeights
from openuni.pipelines.filters.aesthetic import AestheticFilter
from openuni.pipelines.parts import make_filters
from tests.annotators.tiny_experts import hide_caches, save_aesthetic_head, save_clip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    save_clip(folder / "clip-vit-large-patch14")
    save_aesthetic_head(folder / "aesthetic")
    return folder


@pytest.fixture(autouse=True)
def nothing_cached(tmp_path, monkeypatch):
    hide_caches(monkeypatch, tmp_path)


@pytest.fixture(scope="module")
def aesthetic(weights):
    stage = AestheticFilter(weights=str(weights), device="cpu", batch_size=3)
    stage.setup()
    return stage


def score(stage, rgb):
    return stage(SimpleNamespace(frames=SimpleNamespace(rgb=rgb))).scores


def test_scores_are_the_head_on_the_librarys_features(aesthetic, weights):
    import transformers

    rgb = np.random.default_rng(0).integers(0, 255, (5, 40, 60, 3), dtype=np.uint8)
    model = transformers.CLIPModel.from_pretrained(weights / "clip-vit-large-patch14")
    processor = transformers.CLIPImageProcessor.from_pretrained(weights / "clip-vit-large-patch14")
    with torch.no_grad():
        features = model.get_image_features(**processor(images=list(rgb), return_tensors="pt"))
    features = getattr(features, "pooler_output", features)
    features = features / features.norm(dim=-1, keepdim=True)
    head = torch.load(weights / "aesthetic" / "sa_0_4_vit_l_14_linear.pth", weights_only=True)
    wanted = (features @ head["weight"].T + head["bias"])[:, 0].numpy()
    assert wanted.std() > 1e-4
    found = score(aesthetic, rgb)
    assert found["laion"] == pytest.approx(wanted.mean(), abs=1e-5)
    assert found["score"] == pytest.approx(10 * wanted.mean(), abs=1e-4)
    assert found["lowest"] == pytest.approx(10 * wanted.min(), abs=1e-4)


def test_the_scale_of_100_is_cut_at_its_ends(aesthetic):
    rgb = np.zeros((2, 32, 32, 3), np.uint8)
    before = aesthetic.head.bias.data.clone()
    aesthetic.head.bias.data[:] = 40.0
    high = score(aesthetic, rgb)
    aesthetic.head.bias.data[:] = before
    assert high["laion"] > 30 and high["score"] == 100.0
    assert score(aesthetic, rgb[:0]) == {"laion": None, "score": None, "lowest": None}


def test_at_most_max_frames_are_looked_at(weights):
    stage = AestheticFilter(weights=str(weights), device="cpu", max_frames=2)
    stage.setup()
    rgb = np.random.default_rng(1).integers(0, 255, (7, 32, 32, 3), dtype=np.uint8)
    assert score(stage, rgb) == score(stage, rgb[[0, 6]])


def test_the_filter_is_made_by_name_and_not_by_all(weights):
    made = make_filters(["all", "aesthetic"], {}, str(weights))
    assert "aesthetic" in [stage.name for stage in made] and "motion" in [stage.name for stage in made]
    assert "aesthetic" not in [stage.name for stage in make_filters(["all"], {})]


def test_both_networks_count_in_the_hash_and_must_be_there(weights, tmp_path):
    save_aesthetic_head(tmp_path / "aesthetic")
    with pytest.raises(MissingWeights, match="Weights of clip-l14: config.json"):
        AestheticFilter(weights=str(tmp_path))
    save_clip(tmp_path / "clip-vit-large-patch14", seed=4)
    assert AestheticFilter(weights=str(tmp_path)).weights_hash != AestheticFilter(weights=str(weights)).weights_hash


def test_a_head_for_another_clip_is_one_clear_line(weights, tmp_path):
    save_clip(tmp_path / "clip-vit-large-patch14")
    save_aesthetic_head(tmp_path / "aesthetic", dim=512)
    with pytest.raises(BadInput, match="sa_0_4_vit_l_14_linear.pth is for another network than Linear: 1 of 2 tensors"):
        AestheticFilter(weights=str(tmp_path), device="cpu").setup()
