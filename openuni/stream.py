"""Stream: a build's samples read from first byte to last, shard by shard, through webdataset; for slow or far storage.

OpenUniDataset reads any sample by its place. This reads tars in sequence, several modalities' side by side, and lets
webdataset divide them among ranks and loader workers.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from openuni.errors import BadInput
from openuni.sample import Sample, SampleReader, decode_members

Row = Mapping[str, Any]


def stream(
    folder: str | Path,
    modalities: Iterable[str] | None = None,
    *,
    split: str | None = None,
    shuffle: int = 0,
    seed: int = 0,
    decoder: str = "pyav",
) -> Any:
    """Return a webdataset.DataPipeline over a build; iterating it gives openuni.sample.Sample.

    Args:
        folder: a build's folder.
        modalities: which maps to read; None reads all that the build has.
        split: "train" or "validation"; None takes both.
        shuffle: samples kept in memory and drawn from; also shuffles shards. 0: the index's order.
        seed: of the shuffling.
        decoder: see SampleReader.

    Raises:
        BadInput: as SampleReader; or no sample is left.
    """
    import webdataset

    reader = SampleReader(folder, modalities, split=split, decoder=decoder)
    units = _units(reader)
    if not units:
        raise BadInput(f"{folder} has no sample of split {split!r}. Leave out split, or look at index.parquet.")
    shards = webdataset.SimpleShardList(list(units), seed=seed if shuffle else None)
    parts: list[Any] = [shards, webdataset.split_by_node, webdataset.split_by_worker, _Joined(reader, units)]
    if shuffle:
        parts.append(webdataset.shuffle(shuffle, seed=seed))
    return webdataset.DataPipeline(*parts)


def _units(reader: SampleReader) -> dict[str, dict[str, Row]]:
    """The frames' shards, each with its index rows by key."""
    units: dict[str, dict[str, Row]] = {}
    for row in reader.index.to_pylist():
        units.setdefault(row["rgb.shard"], {})[row["key"]] = row
    return units


class _Joined:
    """Opens the shards of a unit, one for each modality, and joins their samples by key. A pipeline's stage."""

    def __init__(self, reader: SampleReader, units: dict[str, dict[str, Row]]) -> None:
        self.reader, self.units = reader, units

    def __call__(self, shards: Iterable[dict[str, Any]]) -> Iterator[Sample]:
        for shard in shards:
            rows = self.units[shard["url"]]
            some = next(iter(rows.values()))
            names = ("rgb", *self.reader.modalities)
            tars = [self._samples(some[f"{name}.shard"]) for name in names]
            for found in zip(*tars, strict=True):  # every modality's tar has every key of its unit, in one order
                keys = {one["__key__"] for one in found}
                if len(keys) > 1:
                    raise ValueError(f"{shard['url']}: the modalities' tars differ at {sorted(keys)}")
                if row := rows.get(keys.pop()):
                    yield self._sample(row, dict(zip(names, found, strict=True)))

    def _samples(self, shard: str) -> Iterator[dict[str, Any]]:
        from webdataset import tariterators

        url = str(self.reader.folder / shard)
        made: Iterator[dict[str, Any]] = tariterators.tarfile_samples([{"url": url}])
        return made

    def _sample(self, row: Row, found: Mapping[str, dict[str, Any]]) -> Sample:
        rgb, about = decode_members("rgb", found["rgb"], decoder=self.reader.decoder)
        maps, absent = {}, {}
        for name in self.reader.modalities:
            if row[f"{name}.present"]:
                maps[name], _ = decode_members(name, found[name])
            else:
                absent[name] = row[f"{name}.reason"]
        facts = about.get("clip", {})
        return Sample(key=row["key"], caption=row["caption"], rgb=rgb, maps=maps, absent=absent, facts=facts)
