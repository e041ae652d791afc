"""Tiny real builds: shards, index and all, without running an expert."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from openuni.modality import Map, codec
from openuni.sample import json_member
from openuni.shard import TarWriter
from tests.openuni import codec_cases

FRAMES, HEIGHT, WIDTH, FPS = 9, 32, 48, 8.0


def rgb_map(number, frames=FRAMES, height=HEIGHT, width=WIDTH, fps=FPS):
    """A picture that is bright on its right half and darker with each frame; the clip's number is its left half."""
    data = np.full((frames, height, width, 3), 20 + 8 * (number % 24), np.uint8)
    data[:, :, width // 2 :] = (200 - 4 * np.arange(frames))[:, None, None, None]
    return Map(data=data, facts={"times_s": (3 + np.arange(frames) / fps).tolist(), "fps": fps})


def maps_of(modalities, frames, height, width):
    made = {}
    for name in modalities:
        if name == "skeleton":
            made[name] = codec_cases.skeleton_map(frames, height, width, people=1, body_px=0.8 * height)
        else:
            made[name] = getattr(codec_cases, f"{name}_map", _labels)(frames, height, width)
    return made


def _labels(frames, height, width):
    return Map(data=codec_cases.label_frames(frames, height, width))


def clip(number, group="folder", modalities=("flow",), **changes):
    """One clip as `write_build` wants it; its key is made of its number."""
    return {
        "key": f"clip{number:03d}",
        "number": number,
        "group": group,
        "modalities": modalities,
        "split": "train",
        "caption": f"Clip {number}.",
        "source": "folder",
        "source_key": f"{number}.mp4",
        "source_video": f"video{number}",
        "about": {},
        "frames": FRAMES,
        "height": HEIGHT,
        "width": WIDTH,
        "fps": FPS,
        **changes,
    }


def write_build(out: Path, clips) -> str:
    """Write a build of `clip`s, with one shard for each modality; return its folder."""
    names = sorted({name for one in clips for name in one["modalities"]})
    rows = []
    (out / "shards").mkdir(parents=True)
    for one in clips:
        rows.append({key: one[key] for key in ("key", "group", "split", "caption", "source", "source_key")})
        rows[-1] |= {"source_video": one["source_video"], "rgb.fps": one["fps"], "rgb.num_frames": float(one["frames"])}
        rows[-1] |= {"rgb.height_px": float(one["height"]), "rgb.width_px": float(one["width"])}
    for name in ("rgb", *names):
        with (out / "shards" / f"{name}.tar").open("wb") as file:
            writer = TarWriter(file)
            for row, one in zip(rows, clips, strict=True):
                size = one["frames"], one["height"], one["width"]
                there = name == "rgb" or name in one["modalities"]
                row |= {f"{name}.present": there, f"{name}.reason": "" if there else "not_made"}
                row |= {f"{name}.shard": f"shards/{name}.tar", f"{name}.offset": None, f"{name}.size": None}
                if there:
                    map = rgb_map(one["number"], *size, one["fps"]) if name == "rgb" else maps_of([name], *size)[name]
                    encoded = codec(name).encode(map)
                    about = {"facts": encoded.facts, **(one["about"] if name == "rgb" else {})}
                    members = {**encoded.members, json_member(name): json.dumps(about).encode()}
                    span = writer.add(one["key"], members)
                    row |= {f"{name}.offset": span.offset, f"{name}.size": span.size}
            writer.finish()
    pq.write_table(pa.Table.from_pylist(rows), out / "index.parquet")
    return str(out)
