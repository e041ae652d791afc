"""Captions: what an endpoint is asked, retries, faults as rows, the index, secrets; the path through ray.data.llm."""

import base64
import json
import shutil
from types import SimpleNamespace

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from openuni.cli import app
from openuni.engine.ledger import ledger_path, read_rows
from openuni.engine.local import LocalEngine
from openuni.engine.ray import RayEngine
from openuni.engine.ray_llm import engine_config
from openuni.engine.stage import Absent
from openuni.errors import BadInput
from openuni.pipelines.build import Build, BuildConfig
from openuni.pipelines.caption_local import Asked, Config, caption_locally
from openuni.pipelines.captions import Captions, choose
from openuni.pipelines.chat import ChatFailed, check_endpoint
from openuni.pipelines.parts import make_captions
from tests.pipelines.caption_server import Server, completion

FAST = (
    "--preset",
    "none",
    "--filters",
    "duration",
    "--experts",
    "none",
    "--ray",
    "off",
    "--set",
    "frames.num_frames=3",
)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("OPENUNI_CAPTION_KEY", "OPENAI_API_KEY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("openuni.engine.run.choose_engine", lambda *args, **kwargs: LocalEngine(0))  # in this process


def view(frames=4, caption="", height=40, width=60):
    rgb = np.random.default_rng(0).integers(0, 255, (frames, height, width, 3), dtype=np.uint8)
    return SimpleNamespace(frames=SimpleNamespace(rgb=rgb), clip=SimpleNamespace(caption=caption))


def stage(server, **settings):
    return Captions(url=server.url, model="tiny-vl", **{"wait_s": 0.0, **settings})


def test_the_endpoint_gets_the_prompt_and_the_frames_as_pictures(monkeypatch):
    monkeypatch.setenv("OPENUNI_CAPTION_KEY", "sk-secret")
    clip = view(frames=9, height=300, width=600)
    smooth = cv2.GaussianBlur(clip.frames.rgb[0], (0, 0), 20)
    clip.frames.rgb[:] = smooth
    with Server("Two  people\nwalk. ") as server:
        result = stage(server, pictures=3, max_side_px=200, prompt="Say what is seen.", api={"top_p": 0.5})(clip)
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions" and headers["Authorization"] == "Bearer sk-secret"
    assert (body["model"], body["max_tokens"], body["temperature"], body["top_p"]) == ("tiny-vl", 400, 0.0, 0.5)
    (message,) = body["messages"]
    text, *pictures = message["content"]
    assert text == {"type": "text", "text": "Say what is seen."} and len(pictures) == 3
    for picture in pictures:
        kind, _, content = picture["image_url"]["url"].partition(",")
        assert kind == "data:image/jpeg;base64"
        seen = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        assert seen.shape == (100, 200, 3)
        wanted = cv2.resize(smooth, (200, 100), interpolation=cv2.INTER_AREA)
        assert np.abs(seen.astype(int) - wanted).mean() < 3  # JPEG; red and blue exchanged give 20
    assert result.scores == {
        "text": "Two people walk.", "model": "tiny-vl-1", "prompt": "Say what is seen.", "pictures": 3,
        "prompt_tokens": 120, "completion_tokens": 7, "cut": False, "attempts": 1,
    }  # fmt: skip


def test_frames_are_taken_from_the_middles_of_equal_parts():
    rgb = np.arange(16).reshape(16, 1, 1, 1)
    assert choose(rgb, 4).ravel().tolist() == [2, 6, 10, 14]
    assert choose(rgb, 99) is rgb


def test_a_source_caption_is_kept_and_nobody_is_asked_unless_told_to():
    with Server("A cat.") as server:
        with pytest.raises(Absent, match="source_caption"):
            stage(server)(view(caption="a dog"))
        assert server.asked == []
        assert stage(server, replace=True)(view(caption="a dog")).scores["text"] == "A cat."


def test_busy_servers_are_asked_again_and_the_tries_counted():
    busy = (503, {"error": {"message": "loading"}}, {"Retry-After": "0"})
    with Server(busy, (429, b"slow down", {}), "A cat.") as server:
        assert stage(server)(view()).scores["attempts"] == 3


@pytest.mark.parametrize(
    ("answer", "tries", "said"),
    [
        ((503, {"error": {"message": "no GPU left"}}, {}), 3, r"HTTP 503 no GPU left \(asked 3 times\)"),
        ((401, {"error": {"message": "key sk-secret is wrong"}}, {}), 1, r"HTTP 401 key \.\.\. is wrong \(asked 1 "),
        ((404, b"no such model", {}), 1, r"HTTP 404 no such model \(asked 1 times\)"),
        ((302, b"", {"Location": "http://127.0.0.1:9/steal"}), 1, r"HTTP 302 \(asked 1 times\)"),
        ((200, b"<html>", {}), 1, "no chat completion"),
        ((200, {"choices": []}, {}), 1, "no chat completion"),
        ((200, completion(None), {}), 1, "no chat completion"),
        ((200, completion(" \n"), {}), 1, "an empty answer"),
    ],
)
def test_faults_end_in_one_line_after_bounded_tries(monkeypatch, answer, tries, said):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with Server(answer) as server, pytest.raises(ChatFailed, match=said):
        stage(server, retries=2)(view())
    assert len(server.asked) == tries


def test_a_dead_endpoint_and_a_slow_one_are_faults_too():
    with Server("x") as server:
        pass
    with pytest.raises(ChatFailed, match=r"\(asked 2 times\)"):
        stage(server, retries=1)(view())


def test_answers_in_parts_without_counts_and_cut_short_are_read():
    parts = [{"type": "text", "text": "A "}, {"type": "text", "text": "cat."}]
    body = completion(parts, usage=None)
    body["choices"][0]["finish_reason"] = "length"
    with Server((200, body, {})) as server:
        scores = stage(server)(view()).scores
    assert (scores["text"], scores["prompt_tokens"], scores["cut"]) == ("A cat.", None, True)


def test_the_address_and_patience_change_no_fingerprint_and_the_prompt_does():
    one = Captions(url="http://a:1/v1", model="m", retries=1)
    assert one.parameters() == Captions(url="http://b:2/v1", model="m").parameters()
    assert one.parameters() != Captions(url="http://a:1/v1", model="m", prompt="Short.").parameters()


@pytest.mark.parametrize(
    ("url", "said"),
    [("ftp://x/v1", "must be http"), ("host:8000", "must be http"), ("http://u:p@x/v1", "no key or password"),
     ("https://x/v1?key=1", "no key or password")],
)  # fmt: skip
def test_addresses_that_cannot_be_used_are_refused(url, said):
    with pytest.raises(BadInput, match=said):
        check_endpoint(url)


def test_both_address_and_model_are_needed_and_none_is_the_default():
    assert make_captions(None, None, {}) == ()
    for given in ((None, "m"), ("http://x/v1", None)):
        with pytest.raises(BadInput, match="need both --caption-url and --caption-model"):
            make_captions(*given, {})
    assert check_endpoint("http://x/v1/") == check_endpoint("http://x/v1/chat/completions")


@pytest.fixture(scope="module")
def two_clips(clips_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for name in ("good_0", "good_1"):
        shutil.copy(clips_folder / f"{name}.mp4", folder / f"{name}.mp4")
    (folder / "good_0.txt").write_text("A texture slides.")
    return folder


def build(root, out, *words):
    command = ["build", "--source", "folder", "--root", str(root), "--out", str(out), *FAST, *map(str, words)]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def test_a_build_asks_for_the_captions_that_are_missing_and_the_index_says_whose_they_are(
    two_clips, tmp_path, monkeypatch
):
    monkeypatch.setenv("OPENUNI_CAPTION_KEY", "sk-secret")
    with Server("A pattern moves to the left.") as server:
        words = ("--caption-url", server.url, "--caption-model", "tiny-vl", "--set", "caption.pictures=2")
        done = build(two_clips, tmp_path / "out", *words)
        again = build(two_clips, tmp_path / "out", *words)
    assert done.exit_code == 0 == again.exit_code, done.output
    assert len(server.asked) == 1  # the one without a caption, once
    rows = {row["source_key"]: row for row in pq.read_table(tmp_path / "out" / "index.parquet").to_pylist()}
    told = {key: (row["caption"], row["caption_by"], row["source_caption"]) for key, row in rows.items()}
    assert told == {
        "good_0.mp4": ("A texture slides.", "source", "A texture slides."),
        "good_1.mp4": ("A pattern moves to the left.", "tiny-vl-1", ""),
    }
    assert rows["good_1.mp4"]["caption.completion_tokens"] == 7 and rows["good_1.mp4"]["caption.prompt"]
    assert "1 from the source" in done.output and "1 by tiny-vl-1" in done.output
    for path in (tmp_path / "out").rglob("*"):
        assert path.is_dir() or b"sk-secret" not in path.read_bytes()


def test_a_clip_whose_caption_fails_is_a_counted_row_and_keeps_its_place(two_clips, tmp_path):
    with Server((400, {"error": {"message": "picture too large"}}, {})) as server:
        done = build(two_clips, tmp_path / "out", "--caption-url", server.url, "--caption-model", "m")
    assert done.exit_code == 0, done.output
    ledgers = (tmp_path / "out" / "ledger" / "caption").glob("*/*.parquet")
    table = [row for path in ledgers for row in pq.read_table(path).to_pylist()]
    assert sorted(row["status"] for row in table) == ["absent", "error"]
    assert any("ChatFailed: HTTP 400 picture too large" in row["reason"] for row in table)
    rows = pq.read_table(tmp_path / "out" / "index.parquet").to_pylist()
    assert sorted(row["caption_by"] for row in rows) == ["", "source"] and "1 without" in done.output


def test_without_an_endpoint_nobody_is_asked_and_a_dry_run_says_so(two_clips, tmp_path):
    said = build(two_clips, tmp_path / "out", "--dry-run").output
    assert "captions  the source's own; no model is asked (--caption-url)" in said


def test_vllm_that_is_not_installed_is_one_line(two_clips, tmp_path):
    with pytest.raises(BadInput, match="needs vLLM, which is not installed: pip install vllm"):
        build(two_clips, tmp_path / "out", "--caption-url", "vllm", "--caption-model", "some/model")


def test_rays_own_configuration_takes_what_we_ask_of_it():
    config = Config("some/model", 8)(4)
    assert (config.model_source, config.concurrency) == ("some/model", 4)
    assert config.engine_kwargs["limit_mm_per_prompt"] == {"image": 8}
    assert config.should_continue_on_error and config.prepare_multimodal_stage.enabled
    assert engine_config("m", engines=1, images=2).prepare_multimodal_stage.chat_template_content_format == "openai"


@pytest.fixture
def prepared(two_clips, tmp_path, monkeypatch):
    """A build that has planned its clips and whose captions a local model shall make."""
    monkeypatch.setattr("openuni.pipelines.parts.check_vllm", lambda: None)
    (tmp_path / "clips").mkdir()
    for path in two_clips.iterdir():
        shutil.copy(path, tmp_path / "clips")
    (tmp_path / "clips" / "bad.mp4").write_bytes(b"no video")
    config = BuildConfig(
        source="folder", root=str(tmp_path / "clips"), out=tmp_path / "out", experts=("none",), caption_url="vllm",
        caption_model="local/vl",
    )  # fmt: skip
    parts = Build.prepare(config)
    parts.annotate.plan.append(parts.source.clips(), unit_size=2)
    return parts


def test_a_local_engines_answers_are_committed_by_unit_and_faults_are_rows(prepared):
    job, asked, events = prepared.annotate, [], []

    def engine(address, config, rows, prepare, conclude):
        """What ray.data.llm does with rows, without its network: in another order."""
        assert address == "local" and isinstance(config, Config)
        for row in reversed(rows):
            question = prepare(json.loads(json.dumps(row)))
            asked.append(question)
            said = {"generated_text": " A  pattern. ", "num_input_tokens": 90, "num_generated_tokens": 4}
            yield conclude({**question, **said})

    made = caption_locally(job, RayEngine("local"), event=lambda name, **facts: events.append(name), run=engine)
    assert made == len(job.plan.names()) == 2 and events == ["captioned"] * 2
    stage = next(one for one in job.stages if one.name == "caption")
    found = {}
    for name in job.plan.names():
        assert job.committed(stage, name)
        found |= read_rows(ledger_path(job.out, "caption", job.fingerprints["caption"], name), stage)
    by_status = sorted((row.status, row.reason) for row in found.values())
    assert by_status == [("absent", "source_caption"), ("drop", "not_a_video"), ("ok", "")]
    (good,) = [row for row in found.values() if row.status == "ok"]
    assert good.scores["text"] == "A pattern." and good.scores["completion_tokens"] == 4 and not good.scores["cut"]
    (question,) = [one for one in asked if one["status"] == "ok"]
    pictures = [part["type"] for part in question["messages"][0]["content"]]
    assert pictures[0] == "text" and set(pictures[1:]) == {"image_url"} and len(pictures) == 9
    assert question["sampling_params"] == {"max_tokens": 400, "temperature": 0.0}
    assert caption_locally(job, RayEngine("local"), event=events.append, run=engine) == 0  # nothing left to ask


def test_a_local_engine_needs_ray(prepared):
    with pytest.raises(BadInput, match="runs on Ray: leave out --ray off"):
        caption_locally(prepared.annotate, LocalEngine(0), event=print)


def test_a_row_that_failed_in_the_engine_is_an_error_row():
    asked = Asked(Captions(url="vllm", model="m"), None)
    assert asked.row_of({"__inference_error__": "ValueError: too long\nmore"}).reason == "ValueError: too long"
    nothing = {"status": "ok", "generated_text": " ", "num_generated_tokens": 0, "num_input_tokens": 1}
    assert asked.row_of(nothing).reason == "an empty answer"
