"""Text encoders and their cache."""

import html
import json
import logging
import shutil

import numpy as np
import pytest
import torch

from openuni.errors import BadInput, MissingWeights
from openuni.model.text.cache import CachedText
from openuni.model.text.clean import clean
from openuni.model.text.hash import HashText, word_vector, words_of
from openuni.model.text.umt5 import Umt5Text
from openuni.table import TEXT_ENCODERS, load
from tests.model.tiny_wan import save_tiny_wan

PROMPTS = ["a red ball rolls left.", "", "  A&amp;amp;B \u00a0 caf\u00c3\u00a9\n the   camera "]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_tiny_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def pipeline(folder):
    """diffusers' pipeline with the saved parts, in float32."""
    from diffusers import WanPipeline
    from transformers import AutoTokenizer, UMT5EncoderModel

    encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.float32)
    return WanPipeline(AutoTokenizer.from_pretrained(folder / "tokenizer"), encoder, None, None)


def test_cleaning_is_wans_for_every_character():
    from diffusers.pipelines.wan.pipeline_wan import prompt_clean

    assert clean(PROMPTS[2]) == "A&B caf\u00e9 the camera"
    texts = [f"a{chr(code)}b {chr(code)}" for code in range(0x3100) if not 0xD800 <= code < 0xE000]
    texts += [f" &#{code};x&amp;lt; {name}" for code, name in enumerate(html.entities.html5)]
    assert [clean(text) for text in texts] == [prompt_clean(text) for text in texts]


def test_umt5_is_wan_pipelines_prompt_encoding_bit_by_bit(folder, pipeline):
    text = Umt5Text(folder, dtype=torch.float32)
    ours = text.encode(PROMPTS)
    assert ours.shape == (3, 512, 16) == (len(PROMPTS), text.max_tokens, text.dim)
    for prompt, vectors in zip(PROMPTS, ours, strict=True):
        with torch.no_grad():
            theirs = pipeline._get_t5_prompt_embeds(prompt, max_sequence_length=512, device="cpu")
        assert torch.equal(vectors[None], theirs)
        assert 0 < vectors.any(dim=1).sum() < 40
    assert not torch.equal(ours[0], ours[2])


def test_umt5_in_bfloat16_is_the_pipelines_bfloat16(folder):
    from diffusers import WanPipeline
    from transformers import AutoTokenizer, UMT5EncoderModel

    encoder = UMT5EncoderModel.from_pretrained(folder / "text_encoder", dtype=torch.bfloat16)
    pipeline = WanPipeline(AutoTokenizer.from_pretrained(folder / "tokenizer"), encoder, None, None)
    with torch.no_grad():
        theirs = pipeline.encode_prompt(PROMPTS[0], do_classifier_free_guidance=False, max_sequence_length=512)[0]
    ours = Umt5Text(folder).encode(PROMPTS[:1])
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours, theirs)


def test_umt5_does_not_depend_on_the_other_prompts(folder):
    text = Umt5Text(folder, max_tokens=64)
    together = text.encode(PROMPTS)
    assert torch.equal(together, torch.cat([text.encode([prompt]) for prompt in PROMPTS]))


def test_umt5_cuts_as_wan_does_and_says_so_once(folder, pipeline, caplog):
    text = Umt5Text(folder, dtype=torch.float32, max_tokens=8)
    full, long = "a red ball a red ball a", "a red ball rolls left the camera a red ball"
    with caplog.at_level(logging.WARNING, "openuni"):
        text.encode([full])
        assert caplog.messages == []
        ours = text.encode([long, long + " a"])
    assert caplog.messages == [
        "text encoder umt5 keeps the first 8 tokens of a prompt, as Wan does; this one has 11 "
        "(a red ball rolls left the camera a red b ...). Further ones are cut without a line."
    ]
    with torch.no_grad():
        assert torch.equal(ours[:1], pipeline._get_t5_prompt_embeds(long, max_sequence_length=8, device="cpu"))


def test_umt5_without_its_folders_says_what_is_missing(folder, tmp_path):
    shutil.copytree(folder / "tokenizer", tmp_path / "tokenizer")
    with pytest.raises(MissingWeights) as error:
        Umt5Text(tmp_path)
    assert str(error.value) == (
        f"text encoder umt5: {tmp_path} has no text_encoder/config.json, text_encoder/*.safetensors. "
        "Give a folder that holds tokenizer/ and text_encoder/; "
        "to fill one: hf download Wan-AI/Wan2.1-T2V-1.3B-Diffusers --include 'tokenizer/*' --include 'text_encoder/*' "
        "--local-dir FOLDER"
    )
    shutil.copytree(folder / "text_encoder", tmp_path / "text_encoder")
    config = tmp_path / "text_encoder" / "config.json"
    good = json.loads(config.read_text())
    config.write_text(json.dumps(good | {"model_type": "t5"}))
    with pytest.raises(BadInput, match="config.json must have model_type umt5, got t5"):
        Umt5Text(tmp_path)
    config.write_text("{}")
    with pytest.raises(BadInput, match="config.json is no config of a network: KeyError"):
        Umt5Text(tmp_path)
    config.write_text(json.dumps(good | {"num_layers": 3}))
    with pytest.raises(BadInput, match="text_encoder lacks .* more: it is for another network"):
        Umt5Text(tmp_path).encode(["a"])


def test_hash_gives_each_word_its_own_normal_vector():
    text = HashText(dim=4096, max_words=8)
    (rows,) = text.encode(["The red ball, the BALL's red!"])
    assert words_of("The red ball, the BALL's red!") == ("the", "red", "ball", "the", "ball's", "red")
    assert torch.equal(rows[0], rows[3])
    assert torch.equal(rows[1], rows[5])
    assert not rows[6:].any()
    words = rows[[0, 1, 2, 4]]
    assert (words.mean(dim=1).abs() < 4 / 64).all()  # four standard errors of 4096 draws
    assert ((words.var(dim=1) - 1).abs() < 4 * (2 / 4096) ** 0.5).all()
    assert ((words @ words.T / 4096 - torch.eye(4)).abs() < 4 * (2 / 4096) ** 0.5).all()
    assert torch.equal(HashText(dim=5, max_words=2).encode(["red"])[0, 0], rows[1, :5])


def test_hash_vectors_never_change():
    # By hand: BLAKE2b of b"red", 53 high bits of the little-endian words, Box-Muller.
    assert np.allclose(word_vector("red", 4), [-1.4769349, -1.7687381, -0.2032379, -0.0489326], atol=1e-6)  # float32


def test_hash_refuses_a_caption_that_is_too_long():
    with pytest.raises(BadInput) as error:
        HashText(max_words=4).encode(["a ball", "one two three four five"])
    assert str(error.value) == (
        "text encoder hash: a prompt may have 4 words, got 5 (one two three four five ...): "
        "shorten it, or raise max_words"
    )
    with pytest.raises(BadInput, match="dim and max_words must be 1 or more, got 0 and 4"):
        HashText(dim=0, max_words=4)


@pytest.mark.parametrize("name", TEXT_ENCODERS)
def test_one_string_is_no_list_of_prompts(name, folder):
    text = load("text encoder", TEXT_ENCODERS, name)(*([folder] if name == "umt5" else []))
    with pytest.raises(ValueError, match=f"text encoder {name}: prompts must be a list of at least one string, got 'a"):
        text.encode("a red ball")
    with pytest.raises(ValueError, match=r"got \[\]"):
        text.encode([])


class Counting(HashText):
    """Counts what it computes."""

    def __init__(self, **sizes):
        super().__init__(**sizes)
        self.computed = []

    def encode(self, prompts):
        self.computed += prompts
        return super().encode(prompts)


def test_the_cache_gives_the_encoders_own_bits_and_computes_each_prompt_once(tmp_path, folder):
    prompts = [*PROMPTS, "a  red ball rolls left.", "a < b &amp;amp;amp; c"]
    assert clean(clean(prompts[-1])) != clean(prompts[-1])
    for text in (Umt5Text(folder), Umt5Text(folder, dtype=torch.float32), HashText()):
        fresh = text.encode(prompts)
        cached = CachedText(text, tmp_path)
        assert torch.equal(cached.encode(prompts), fresh)
        again = CachedText(text, tmp_path).encode(prompts)
        assert torch.equal(again, fresh)
        assert again.dtype == text.dtype
    assert len(list(tmp_path.rglob("*.safetensors"))) == 12
    counting = Counting(dim=8)
    cached = CachedText(counting, tmp_path)
    cached.encode(prompts)
    cached.encode(prompts)
    assert [clean(prompt) for prompt in counting.computed] == [clean(prompt) for prompt in [*PROMPTS, prompts[-1]]]


def test_a_full_cache_needs_no_weights(tmp_path, folder):
    CachedText(Umt5Text(folder), tmp_path).encode(PROMPTS)
    text = Umt5Text(folder)
    CachedText(text, tmp_path).encode(PROMPTS)
    assert "_encoder" not in vars(text)


def test_other_weights_tokenizers_types_and_lengths_are_other_keys(tmp_path, folder):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    same = Umt5Text(other).identity
    weights = other / "text_encoder" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    identities = {
        Umt5Text(folder).identity,
        Umt5Text(other).identity,
        Umt5Text(folder, max_tokens=511).identity,
        Umt5Text(folder, dtype=torch.float32).identity,
    }
    assert same in identities
    assert len(identities) == 4
    (other / "tokenizer" / "tokenizer.json").write_text("{}")
    assert Umt5Text(other).identity not in identities
    assert len({HashText().identity, HashText(dim=8).identity, HashText(max_words=8).identity}) == 3


def test_the_cleanings_version_is_in_the_key(tmp_path, monkeypatch):
    cached = CachedText(HashText(), tmp_path)
    before = cached.path("a ball")
    assert before == cached.path(" a  ball")
    monkeypatch.setattr("openuni.model.text.cache.CLEANING", "wan-2")
    assert cached.path("a ball") != before


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "header", "another prompt's"])
def test_a_damaged_file_is_computed_anew(tmp_path, caplog, damage):
    text = Counting(dim=8)
    cached = CachedText(text, tmp_path)
    fresh = cached.encode(["a ball", "a cube"])
    path = cached.path("a ball")
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-3]
    elif damage == "empty":
        content = bytearray()
    elif damage == "another prompt's":
        content = cached.path("a cube").read_bytes()
    else:
        content[-1 if damage == "flipped" else 12] ^= 1
    path.write_bytes(content)
    text.computed.clear()
    with caplog.at_level(logging.WARNING, "openuni"):
        assert torch.equal(cached.encode(["a ball", "a cube"]), fresh)
    assert text.computed == ["a ball"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"text cache: {path} is damaged (")
    assert torch.equal(cached.encode(["a ball"]), fresh[:1])
    assert text.computed == ["a ball"]


def test_the_cache_says_how_large_a_prompt_gets_and_stores_no_padding(tmp_path, folder, caplog):
    with caplog.at_level(logging.INFO, "openuni"):
        cached = CachedText(Umt5Text(folder), tmp_path)
    assert caplog.messages == [f"text cache {tmp_path}: at most 0.0164 MB for each prompt"]
    assert cached.max_bytes == 512 * 16 * 2
    cached.encode(["a red ball"])
    assert cached.path("a red ball").stat().st_size < 1000  # 4 rows of 32 B and the header


def test_the_cache_leaves_no_half_file_and_names_a_folder_it_cannot_make(tmp_path):
    cached = CachedText(HashText(dim=8), tmp_path / "cache")
    cached.encode(PROMPTS)
    assert all(path.suffix == ".safetensors" for path in (tmp_path / "cache").rglob("*") if path.is_file())
    (tmp_path / "file").write_text("x")
    with pytest.raises(BadInput, match=f"text cache: cannot make the folder {tmp_path}/file/sub: Not a directory"):
        CachedText(HashText(), tmp_path / "file" / "sub")


def test_without_ftfy_cleaning_is_refused_rather_than_skipped(monkeypatch):
    monkeypatch.setattr("openuni.model.pretrained.find_spec", lambda name: None)
    words_of.cache_clear()  # words that were cleaned before are remembered
    with pytest.raises(BadInput) as error:
        HashText().encode(["a ball"])
    assert str(error.value) == "ftfy is not installed; cleaning prompts needs it: pip install ftfy"
