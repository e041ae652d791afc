"""What belongs to a model besides its weights, written as openuni.json: codec, text, tasks, renderings, size."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from openuni.errors import BadInput, UnknownName
from openuni.model.renderings.config import RenderingConfig
from openuni.model.tasks import TaskConfig
from openuni.table import CODECS, TEXT_ENCODERS, load

FILE = "openuni.json"
FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """Everything that sampling must do as training did."""

    codec: str = "wan"
    """Name in CODECS."""
    codec_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the codec; `model` is a folder or Hub id."""
    text: str = "umt5"
    """Name in TEXT_ENCODERS."""
    text_options: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the text encoder, as `codec_options`."""
    tasks: TaskConfig = field(default_factory=TaskConfig)
    """How training drew its samples."""
    rendering: RenderingConfig = field(default_factory=RenderingConfig)
    """What modalities look like to the network."""
    sampler: str = "wan"
    """Sampler preset to use by default."""
    num_frames: int = 81
    """Frames of a clip in training, 4n + 1 for Wan's codecs."""
    height: int = 480
    """Of a clip in training, px."""
    width: int = 832
    """Of a clip in training, px."""
    fps: float = 16.0
    """Of a clip in training."""
    num_maps: int | None = None
    """Modality streams that training had side by side; more at once is nothing that was learned. None: unknown."""

    def __post_init__(self) -> None:
        """Check names.

        Raises:
            UnknownName: no such codec or text encoder.
        """
        for kind, name, table in (("codec", self.codec, CODECS), ("text encoder", self.text, TEXT_ENCODERS)):
            if name not in table:
                raise UnknownName(kind, name, table)

    def load_codec(self, device: torch.device, **defaults: Any) -> Any:
        """Load the video codec, on a device if it has weights.

        Args:
            device: where it runs.
            defaults: arguments for a codec with weights that `codec_options` does not say.
        """
        placed = {"device": device, **defaults} if self.codec == "wan" else {}
        return load("codec", CODECS, self.codec)(**{**placed, **self.codec_options})

    def load_text(self, device: torch.device) -> Any:
        """Load the text encoder, on a device if it has weights."""
        placed = {"device": device} if self.text == "umt5" else {}
        return load("text encoder", TEXT_ENCODERS, self.text)(**{**placed, **self.text_options})

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return {"format": FORMAT, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "ModelConfig":
        """Read a config.

        Raises:
            BadInput: another format, a key that is not known, a value of the wrong kind.
        """
        values = dict(values)
        if (found := values.pop("format", None)) != FORMAT:
            raise BadInput(f"{FILE} must have format {FORMAT}, got {found!r}; it is from another version of openuni.")
        known = {one.name for one in fields(cls)}
        if unknown := set(values) - known:
            raise BadInput(f"{FILE} has unknown keys: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(known))}.")
        try:
            if "tasks" in values:
                values["tasks"] = TaskConfig(**values["tasks"])
            if "rendering" in values:
                values["rendering"] = RenderingConfig.from_json(values["rendering"])
            return cls(**values)
        except TypeError as error:
            raise BadInput(f"{FILE} cannot be read: {error}.") from error


def read_config(folder: Path) -> ModelConfig | None:
    """Return the config of a checkpoint folder, None if it has none.

    Raises:
        BadInput: it is damaged.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} is no JSON: {error}.") from error
    if not isinstance(values, dict):
        raise BadInput(f"{path} must be a JSON object, got {type(values).__name__}.")
    return ModelConfig.from_json(values)


def write_config(folder: Path, config: ModelConfig) -> None:
    """Write openuni.json into a checkpoint folder."""
    (folder / FILE).write_text(json.dumps(config.to_json(), indent=2) + "\n", "utf-8")
