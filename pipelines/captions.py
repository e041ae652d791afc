"""Captions by a vision-language model: a stage of the build. Clips that come with a caption keep it.

Off by default: without --caption-url a build writes the sources' captions and asks nobody.
"""

import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from openuni.engine.record import PassRecord
from openuni.engine.stage import Absent, Column, Result, Stage
from openuni.errors import BadInput
from openuni.pipelines.chat import Answer, ask, check_endpoint, key_of_environment
from openuni.resize import resized_frames

LOCAL = "vllm"
"""What --caption-url says for a model run by ray.data.llm on the cluster's own GPUs."""
PROMPT = (
    "These pictures are frames of one video, in order. Describe the video in one paragraph of plain English: who or "
    "what is to be seen, how it looks, what it does, where, and how the camera moves. Say only what can be seen."
)
JPEG_QUALITY = 90  # ours
NAME = "caption"


@dataclass(kw_only=True)
class Captions(Stage):
    """Asks a model for a caption of each clip that has none. The ledger has text, model, prompt and tokens.

    Raises:
        Absent: `source_caption`, the clip came with one.
        ChatFailed: the endpoint gave no usable answer; the clip's row is an error, its maps are kept.
    """

    url: str
    """The endpoint's base address, or `vllm`."""
    model: str
    """The model's name at the endpoint; for `vllm` its folder or Hub name."""
    prompt: str = PROMPT
    pictures: int = 8
    """Frames that are sent, evenly spread. Ours."""
    max_side_px: int = 512
    """Long side of the pictures. Ours."""
    max_tokens: int = 400
    temperature: float = 0.0
    replace: bool = False
    """Ask also for clips that came with a caption. The source's stays in the samples' txt."""
    timeout_s: float = 120.0
    retries: int = 3
    wait_s: float = 1.0
    """Before the first retry, seconds; doubled each time."""
    api: Mapping[str, Any] = field(default_factory=dict)
    """More fields of the request, as the endpoint knows them. Not for keys: it is recorded."""

    name: ClassVar[str] = NAME
    licence: ClassVar[str] = "as the model's"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("text", "text", "the caption"),
        Column("model", "text", "the model, as the endpoint names it"),
        Column("prompt", "text", "what it was asked"),
        Column("pictures", "frames", "frames that were sent"),
        Column("prompt_tokens", "tokens", "tokens of the question, as the endpoint counts"),
        Column("completion_tokens", "tokens", "tokens of the answer"),
        Column("cut", "bool", "the answer ended at max_tokens"),
        Column("attempts", "1", "how often the endpoint was asked"),
    )
    UNHASHED: ClassVar[tuple[str, ...]] = ("url", "timeout_s", "retries", "wait_s")
    """Fields that change nothing that is answered."""

    def __post_init__(self) -> None:
        """Check the settings."""
        if not self.url or not self.model:
            raise BadInput("Captions need both --caption-url and --caption-model.")
        self.address = "" if self.url == LOCAL else check_endpoint(self.url)
        if self.pictures < 1 or self.max_tokens < 1 or self.retries < 0 or not self.prompt.strip():
            raise BadInput("caption.pictures and max_tokens must be 1 or more, retries 0 or more, prompt not blank.")

    def parameters(self) -> dict[str, Any]:
        """Return what decides the answer; the address and how patiently it is asked do not."""
        return {name: value for name, value in super().parameters().items() if name not in self.UNHASHED}

    def __call__(self, clip: Any) -> Result:
        """Ask for a clip's caption."""
        if clip.clip.caption.strip() and not self.replace:
            raise Absent("source_caption")
        assert self.address, "captions of a local model are made before the pass, see caption_local.py"
        frames = choose(clip.frames.rgb, self.pictures)
        body = {**self.request(frames), "model": self.model}
        answer = ask(
            self.address,
            body,
            key=key_of_environment(),
            timeout_s=self.timeout_s,
            retries=self.retries,
            wait_s=self.wait_s,
        )
        return Result(self.scores(answer, len(frames)))

    def request(self, frames: np.ndarray) -> dict[str, Any]:
        """Return the request's body but for the model: chat messages with pictures as data URLs."""
        parts: list[dict[str, Any]] = [{"type": "text", "text": self.prompt}]
        for frame in shrink(frames, self.max_side_px):
            parts.append({"type": "image_url", "image_url": {"url": data_url(frame)}})
        messages = [{"role": "user", "content": parts}]
        return {"messages": messages, "max_tokens": self.max_tokens, "temperature": self.temperature, **self.api}

    def scores(self, answer: Answer, pictures: int) -> dict[str, Any]:
        """Return the ledger's columns for an answer."""
        return {
            "text": answer.text,
            "model": answer.model or self.model,
            "prompt": self.prompt,
            "pictures": pictures,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "cut": answer.cut,
            "attempts": answer.attempts,
        }


def choose(rgb: np.ndarray, pictures: int) -> np.ndarray:
    """Pick frames in the middles of equal parts of a clip (T, H, W, 3); all of a shorter clip."""
    if len(rgb) <= pictures:
        return rgb
    return rgb[((np.arange(pictures) + 0.5) * len(rgb) / pictures).astype(int)]


def shrink(frames: np.ndarray, max_side_px: int) -> np.ndarray:
    """Make frames (N, H, W, 3) uint8 smaller so that the long side is at most `max_side_px`."""
    height, width = frames.shape[1:3]
    scale = max_side_px / max(height, width)
    if scale >= 1:
        return frames
    return resized_frames(frames, height=max(1, round(height * scale)), width=max(1, round(width * scale)))


def data_url(frame: np.ndarray) -> str:
    """Encode a picture (H, W, 3) uint8 RGB as a JPEG in a data URL."""
    import cv2

    done, content = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    assert done, "OpenCV can write JPEG"
    return f"data:image/jpeg;base64,{base64.b64encode(content.tobytes()).decode()}"


def caption_columns(annotate: PassRecord, ledger: pa.Table, clips: pa.Table) -> dict[str, Any]:
    """Return the index's caption columns.

    Args:
        annotate: the annotate pass.
        ledger: its table.
        clips: the plan's rows of the same clips.

    Returns:
        `caption`; where the pass has a caption stage also `caption_by` (the model, "source", or "" without a caption)
        and `source_caption`.
    """
    if not any(stage.name == NAME for stage in annotate.stages):
        return {"caption": clips["caption"]}
    made = pc.equal(ledger[f"{NAME}:status"], "ok")
    source = clips["caption"]
    told = pc.if_else(pc.equal(pc.utf8_trim_whitespace(source), ""), "", "source")
    return {
        "caption": pc.if_else(made, ledger[f"{NAME}.text"], source),
        "caption_by": pc.if_else(made, ledger[f"{NAME}.model"], told),
        "source_caption": source,
    }


def caption_writers(index: pa.Table) -> Counter[str]:
    """Count who wrote an index's captions: "source", a model's name, or "" where there is none."""
    if "caption_by" in index.column_names:
        return Counter(index["caption_by"].to_pylist())
    return Counter("source" if caption.strip() else "" for caption in index["caption"].to_pylist())
