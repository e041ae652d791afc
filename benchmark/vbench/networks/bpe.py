"""CLIP's tokenizer (Radford et al., arXiv 2103.00020): lower-cased byte-pair encoding of a text.

The merges are those of `bpe_simple_vocab_16e6.txt.gz`, which stands beside ViCLIP's weights in VBench's cache.
"""

import gzip
import html
import itertools
import zlib
from functools import cache
from pathlib import Path

from openuni.errors import BadInput

MERGES = 49152 - 256 - 2
"""Lines of the file that CLIP uses, after its first."""
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


class Tokenizer:
    """Texts to token numbers."""

    def __init__(self, path: Path) -> None:
        """Read the merges.

        Raises:
            BadInput: the file is no such file.
        """
        try:
            lines = gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise BadInput(f"{path} is not CLIP's list of merges ({error}). Fetch it again: openuni weights") from error
        merges = [tuple(line.split()) for line in lines]
        if len(merges) < MERGES or any(len(pair) != 2 for pair in merges):
            raise BadInput(f"{path} has {len(merges):,} merges of two parts, expected {MERGES:,}. Fetch it again.")
        letters = list(_letters().values())
        words = letters + [letter + END_OF_WORD for letter in letters] + ["".join(pair) for pair in merges]
        self.numbers = {word: number for number, word in enumerate([*words, START, END])}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}

    def __call__(self, text: str, *, context: int) -> list[int]:
        """Return `context` numbers: start, the text as far as it fits, end, zeros."""
        found = [self.numbers[part] for word in _words(text) for part in self._parts(word)][: context - 2]
        found = [self.numbers[START], *found, self.numbers[END]]
        return found + [0] * (context - len(found))

    def _parts(self, word: str) -> list[str]:
        """Merge a word's letters, the pair with the lowest rank first."""
        if word in (START, END):
            return [word]
        parts = [_letters()[byte] for byte in word.encode("utf-8")]
        parts[-1] += END_OF_WORD
        while len(parts) > 1:
            pairs = list(itertools.pairwise(parts))
            best = min(pairs, key=lambda pair: self.ranks.get(pair, MERGES))
            if best not in self.ranks:
                break
            merged: list[str] = []
            at = 0
            while at < len(parts):
                both = tuple(parts[at : at + 2]) == best
                merged.append("".join(best) if both else parts[at])
                at += 2 if both else 1
            parts = merged
        return parts


def _words(text: str) -> list[str]:
    """Clean a text as CLIP does and cut it: contractions, runs of letters, single digits, runs of anything else."""
    import ftfy
    import regex

    cleaned = html.unescape(html.unescape(ftfy.fix_text(text)))
    pattern = (
        rf"{regex.escape(START)}|{regex.escape(END)}|'s|'t|'re|'ve|'m|'ll|'d|\p{{L}}+|\p{{N}}|[^\s\p{{L}}\p{{N}}]+"
    )
    found: list[str] = regex.findall(pattern, " ".join(cleaned.split()).lower())
    return found


@cache
def _letters() -> dict[int, str]:
    """Byte -> the printable letter that stands for it, in the order of CLIP's vocabulary: printable bytes first."""
    kept = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    rest = [byte for byte in range(256) if byte not in kept]
    return {byte: chr(byte) for byte in kept} | {byte: chr(256 + place) for place, byte in enumerate(rest)}
