"""Map files: one modality's arrays of one clip as .npz, the form that `openuni generate` writes and reads."""

import io
import json
from pathlib import Path

import numpy as np

from openuni.engine.atomic import write_bytes
from openuni.errors import BadInput
from openuni.modality import Map, modality

DATA, VALID, FACTS, MODALITY = "data", "valid", "facts", "modality"
PREFIX = "array."


def write_map(path: Path, name: str, map: Map) -> None:
    """Write a map: members `data`, `valid` (if there is one), `array.NAME`, `facts` (JSON) and `modality`."""
    members = {DATA: map.data, **{PREFIX + key: array for key, array in map.arrays.items()}}
    if map.valid is not None:
        members[VALID] = map.valid
    members[FACTS] = np.frombuffer(json.dumps(dict(map.facts)).encode(), np.uint8)
    members[MODALITY] = np.frombuffer(name.encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **members)  # type: ignore[arg-type]  # names are ours
    write_bytes(path, buffer.getvalue(), durable=False)


def read_map(path: Path, name: str) -> Map:
    """Read a map; pickles are refused.

    Raises:
        BadInput: the file is damaged, of another modality, or not a map of it.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            members = {key: file[key] for key in file.files}
        facts = json.loads(members.pop(FACTS).tobytes()) if FACTS in members else {}
        found = members.pop(MODALITY).tobytes().decode() if MODALITY in members else name
        data, valid = members.pop(DATA), members.pop(VALID, None)
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise BadInput(
            f"{path} is not a map file ({error}); it should be .npz with 'data', as generate writes it."
        ) from error
    except Exception as error:  # zipfile's and zlib's own errors have no common base
        raise BadInput(f"{path} is damaged ({type(error).__name__}).") from error
    if found != name:
        raise BadInput(f"{path} holds {found}, not {name}.")
    arrays = {key.removeprefix(PREFIX): array for key, array in members.items() if key.startswith(PREFIX)}
    map = Map(data=data, valid=valid, arrays=arrays, facts=facts)
    try:
        modality(name).check(map)
    except ValueError as error:
        raise BadInput(f"{path}: {error}.") from error
    return map
