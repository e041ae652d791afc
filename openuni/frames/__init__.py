"""Frames: the one video reader. Every clip of every stage is read through `read_frames`."""

from openuni.frames.errors import DecodeError
from openuni.frames.probe import VideoInfo, probe
from openuni.frames.reader import Frames, read_frames, read_many
from openuni.frames.target import FrameTarget

__all__ = ["DecodeError", "FrameTarget", "Frames", "VideoInfo", "probe", "read_frames", "read_many"]
