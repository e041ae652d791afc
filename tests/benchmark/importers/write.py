"""Writers of the formats that importers read, by hand from their specifications: no code that the readers use."""

import struct
import zlib
from pathlib import Path

import numpy as np


def write_exr(path: Path, channels: dict[str, np.ndarray], *, data_window=None, display_window=None) -> Path:
    """An uncompressed scan-line OpenEXR file (openexr.com, "OpenEXR File Layout"): float16 is half, float32 float."""
    height, width = next(iter(channels.values())).shape
    window = data_window or (0, 0, width - 1, height - 1)
    names = sorted(channels)
    kinds = {"float16": 1, "float32": 2}
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iBBBBii", kinds[str(channels[name].dtype)], 0, 0, 0, 0, 1, 1)
        for name in names
    )
    attributes = (
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", b"\0"),
        ("dataWindow", "box2i", struct.pack("<4i", *window)),
        ("displayWindow", "box2i", struct.pack("<4i", *(display_window or window))),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    head = struct.pack("<ii", 20000630, 2)
    for name, kind, value in attributes:
        head += name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
    head += b"\0"
    lines = []
    for row in range(height):
        pixels = b"".join(np.ascontiguousarray(channels[name][row]).tobytes() for name in names)
        lines.append(struct.pack("<ii", window[1] + row, len(pixels)) + pixels)
    at, offsets = len(head) + 8 * height, []
    for line in lines:
        offsets.append(at)
        at += len(line)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + struct.pack(f"<{height}Q", *offsets) + b"".join(lines))
    return path


def write_png(path: Path, pixels: np.ndarray, *, palette: bool = False) -> Path:
    """A PNG (RFC 2083): (H, W) uint8 gray or palette, (H, W, 3) uint8 or uint16 colour."""
    height, width = pixels.shape[:2]
    bits = 16 if pixels.dtype == np.uint16 else 8
    colour = 3 if palette else (2 if pixels.ndim == 3 else 0)
    rows = b"".join(b"\0" + row.astype(">u2" if bits == 16 else "u1").tobytes() for row in pixels)

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    colours = chunk(b"PLTE", bytes((7 * index + 50) % 256 for index in range(3 * 256))) if palette else b""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + head + colours + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def write_float_tiff(path: Path, pixels: np.ndarray) -> Path:
    """A TIFF (revision 6.0) of one strip of float32."""
    height, width = pixels.shape
    content = pixels.astype("<f4").tobytes()
    entries = [
        (256, 4, width), (257, 4, height), (258, 3, 32), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1),
        (278, 4, height), (279, 4, len(content)), (339, 3, 3),
    ]  # fmt: skip
    table = struct.pack("<H", len(entries))
    table += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries) + struct.pack("<I", 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(content)) + content + table)
    return path


def write_flo(path: Path, flow: np.ndarray) -> Path:
    """Middlebury's .flo; with one channel it is Sintel's .dpt."""
    height, width = flow.shape[:2]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PIEH" + struct.pack("<ii", width, height) + flow.astype("<f4").tobytes())
    return path


def write_cam(path: Path, intrinsics: np.ndarray, world_to_camera: np.ndarray) -> Path:
    """Sintel's .cam."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"PIEH" + struct.pack("<21d", *intrinsics.ravel(), *world_to_camera[:3].ravel()))
    return path
