"""Sample: one clip as a build stores it, joined over modalities by key."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from openuni.codec.rgb import DECODERS, RGB
from openuni.errors import BadInput, UnknownName
from openuni.modality import Map, codec
from openuni.shard import Span, read_sample

INDEX = "index.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A clip's frames and those of its maps that were asked for and are there."""

    key: str
    """The clip_id."""
    caption: str
    rgb: Map
    """data (T, H, W, 3) uint8; facts "times_s" (T,) and "fps"."""
    maps: Mapping[str, Map] = field(default_factory=dict)
    """Modality -> map of the same T, H, W. An absent modality has no key."""
    absent: Mapping[str, str] = field(default_factory=dict)
    """Modality -> why it is not in `maps`, among those asked for."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the rgb sample's json says of the clip: source, licence, spans."""


def json_member(modality: str) -> str:
    """Return the name of a sample's json member: unique over modalities, so that tars can be joined by key."""
    return "json" if modality == "rgb" else f"{modality}.json"


class SampleReader:
    """Random access to the samples of a build, by index and offset: only the asked modalities' bytes are read."""

    def __init__(
        self,
        folder: str | Path,
        modalities: Iterable[str] | None = None,
        *,
        split: str | None = None,
        decoder: str = "pyav",
    ) -> None:
        """Read the index.

        Args:
            folder: a build's folder.
            modalities: which maps to read; None reads all that the build has. Frames are always read.
            split: "train" or "validation"; None takes both.
            decoder: for the frames, of openuni.codec.rgb.DECODERS: "pyav" has exact colours, "decord" is cheaper.

        Raises:
            BadInput: there is no index, or the build has no such modality, or there is no such decoder.
        """
        if decoder not in DECODERS:
            raise UnknownName("decoder", decoder, DECODERS)
        self.decoder = decoder
        self.folder = Path(folder)
        path = self.folder / INDEX
        if not path.exists():
            raise BadInput(f"{path} not found. Give the folder of a finished build (openuni build ... --out DIR).")
        columns = pq.read_schema(path).names
        have = [name.removesuffix(".shard") for name in columns if name.endswith(".shard") and name != "rgb.shard"]
        self.modalities = tuple(have if modalities is None else modalities)
        for name in self.modalities:
            if name not in have:
                raise BadInput(f"{self.folder} has no modality {name!r}; it has {', '.join(have) or 'none'}.")
        wanted = ["key", "split", "caption"]
        for name in ("rgb", *self.modalities):
            wanted += [f"{name}.{column}" for column in ("present", "reason", "shard", "offset", "size")]
        table = pq.read_table(path, columns=wanted)
        self.index = table if split is None else table.filter(_equal(table["split"], split))
        """The samples' rows: pyarrow.Table."""

    def __len__(self) -> int:
        return self.index.num_rows

    def __getitem__(self, number: int) -> Sample:
        """Read one sample by its row in the index.

        Raises:
            IndexError: there is no such row.
            ValueError: a shard is damaged or is not the one the index was made for.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"sample {number} of {len(self)}")
        row = {name: self.index[name][number].as_py() for name in self.index.column_names}
        rgb, about = self._read(row, "rgb")
        maps, absent = {}, {}
        for name in self.modalities:
            if row[f"{name}.present"]:
                maps[name], _ = self._read(row, name)
            else:
                absent[name] = row[f"{name}.reason"]
        facts = about.get("clip", {})
        return Sample(key=row["key"], caption=row["caption"], rgb=rgb, maps=maps, absent=absent, facts=facts)

    def find(self, key: str) -> int:
        """Return the row of a key.

        Raises:
            BadInput: the index has no such key.
        """
        keys = self.index["key"].to_pylist()
        if key not in keys:
            raise BadInput(f"{self.folder} has no clip {key!r}.")
        return keys.index(key)

    def _read(self, row: Mapping[str, Any], name: str) -> tuple[Map, dict[str, Any]]:
        span = Span(row[f"{name}.offset"], row[f"{name}.size"])
        members = read_sample(self.folder / row[f"{name}.shard"], span)
        return decode_members(name, members, decoder=self.decoder)


def decode_members(modality: str, members: Mapping[str, bytes], *, decoder: str = "pyav") -> tuple[Map, dict[str, Any]]:
    """Decode one modality's members of a sample; `decoder` is for the frames.

    Returns:
        The map, and what the sample's json says.

    Raises:
        ValueError: the json is missing or says that the modality is absent.
    """
    name = json_member(modality)
    if name not in members:
        raise ValueError(f"a {modality} sample has a member {name}, got {sorted(members)}")
    about = json.loads(members[name])
    if "absent" in about:
        raise ValueError(f"{modality} is absent: {about['absent']}")
    if modality == "rgb":
        return RGB.decode_with(decoder, members, about["facts"]), about
    return codec(modality).decode(members, about["facts"]), about


def _equal(column: Any, value: str) -> Any:
    import pyarrow.compute as pc

    return pc.equal(column, value)
