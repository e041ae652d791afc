"""The one error of reading videos."""

from openuni.errors import OpenUniError

REASONS = {
    "file_missing": "there is no file at the path",
    "not_a_video": "no container that FFmpeg knows, or one that is cut before its index",
    "no_video_stream": "a container without video, or with nothing but a cover picture",
    "no_frames": "a video stream without a single frame",
    "empty_span": "no frame begins between start_s and end_s",
    "decode_failed": "there are frames, and none of those wanted can be decoded",
    "unsupported_colour": "a colour matrix that cannot be converted to RGB correctly",
    "too_small": "a side is shorter than the target's multiple",
}
"""Every reason a DecodeError can have, and its meaning."""


class DecodeError(OpenUniError):
    """A video cannot be read. `reason` is a key of REASONS; it is counted in the funnel."""

    exit_code = 1

    def __init__(self, reason: str, message: str) -> None:
        """Say the reason in a word for the ledger and in a sentence for the reader."""
        assert reason in REASONS, reason
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["DecodeError"], tuple[str, str]]:
        """Pickle with both arguments: Ray sends errors between processes."""
        return DecodeError, (self.reason, str(self))
