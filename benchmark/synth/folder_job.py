"""What the jobs that make rendered folders share, whether they render or import: view, index and contact sheet."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from openuni.benchmark.synth.files import CLIPS, INDEX
from openuni.clip import Clip
from openuni.engine.atomic import TEMPORARY
from openuni.errors import BadInput
from openuni.modality import Map
from openuni.run import RunFolder

CONTACT_SHEET = "contact_sheet.png"
SHEET_COLUMNS, SHEET_CLIPS = 10, 400  # ours: a picture of 1,600 px by 7,000 at most


class FolderView:
    """What a stage is called with that writes the folder of a clip; where the clip is from, subclasses say."""

    def __init__(self, clip: Clip, out: Path) -> None:
        self.clip, self.out = clip, out
        self.maps: dict[str, Map] = {}

    def describe(self) -> dict[str, Any]:
        """See openuni.engine.job.View."""
        return dict(self.clip.published)

    def close(self) -> None:
        """Nothing is held."""


def refuse_other(folder: RunFolder, given: Mapping[str, Any], done: str) -> None:
    """Refuse to mix clips of different kinds in one folder.

    Args:
        folder: with the config of the run before, if there was one.
        given: what must not change; what the run before does not tell is not compared.
        done: "rendered" or "imported".

    Raises:
        BadInput: a value is another one than before.
    """
    before = folder.read().get("config", {})
    now = json.loads(json.dumps(dict(given), default=str))
    for key in sorted(now.keys() & before.keys()):
        if now[key] != before[key]:
            raise BadInput(
                f"{folder.folder} was {done} with {key} {before[key]!r}, not {now[key]!r}. Choose another --out, or "
                "give the same options again to resume."
            )


def sweep(out: Path) -> None:
    """Remove what killed workers left half-written."""
    import shutil

    for left in (out / CLIPS).glob(f".*{TEMPORARY}*"):
        shutil.rmtree(left, ignore_errors=True)


def index_schema() -> Any:
    """Return the columns of unibench.parquet."""
    import pyarrow as pa

    text, number, real = pa.string(), pa.int64(), pa.float64()
    kinds = {
        "clip": text, "family": text, "seed": number, "caption": text, "num_frames": number, "height": number,
        "width": number, "fps": real, "people": number, "tier": text, "behind_glass": text, "official": pa.bool_(),
        "truth_sha256": text, "facts": text, "versions": text, "seconds": real,
    }  # fmt: skip
    return pa.schema(list(kinds.items()))


def write_index(out: Path, table: Any) -> None:
    """Write unibench.parquet and the contact sheet of its first clips; without a clip there is no sheet.

    Args:
        out: the rendered folder.
        table: of `index_schema`, sorted by clip.
    """
    import pyarrow.parquet as pq

    from openuni.engine.atomic import replacing

    with replacing(out / INDEX) as file:
        pq.write_table(table, file)
    if table.num_rows:
        write_contact_sheet(out, table["clip"].to_pylist()[:SHEET_CLIPS])


def write_contact_sheet(root: Path, names: Sequence[str]) -> Path:
    """Draw the middle frame of clips, in rows, each under its name."""
    import io

    from PIL import Image

    from openuni.engine.atomic import write_bytes
    from openuni.panel import strip

    tiles = []
    for name in names:
        picture = np.asarray(Image.open(root / CLIPS / name / "preview.png").convert("RGB"))
        tiles.append(np.concatenate([strip(name, picture.shape[1]), picture]))
    blank = np.zeros_like(tiles[0])
    columns = min(SHEET_COLUMNS, len(tiles))
    tiles += [blank] * (-len(tiles) % columns)
    sheet = np.concatenate([np.concatenate(tiles[at : at + columns], axis=1) for at in range(0, len(tiles), columns)])
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG")
    write_bytes(root / CONTACT_SHEET, buffer.getvalue(), durable=False)
    return root / CONTACT_SHEET
