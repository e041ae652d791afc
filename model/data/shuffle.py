"""Shuffle: an order of n things that is a function of a key, without a list of them.

A Feistel network over the smallest square of a power of two that holds n, walked until it falls below n (Black and
Rogaway 2002, "Ciphers with arbitrary finite domains", cycle walking). Rounds are BLAKE2b, so the order is the same in
every version of every library, which numpy's generators do not promise.
"""

import hashlib

ROUNDS = (
    6  # ours: four are enough for a pseudo-random permutation (Luby and Rackoff 1988); halves of a few bits need more
)


def shuffled(position: int, size: int, *key: object) -> int:
    """Return which of `size` things stands at `position`.

    Args:
        position: 0 to size - 1.
        size: how many things.
        key: what the order depends on; things whose text differs.

    Returns:
        0 to size - 1; for one key each of them once.
    """
    assert 0 <= position < size
    bits = max(1, ((size - 1).bit_length() + 1) // 2)
    salt = "/".join(map(str, key)).encode()
    while True:
        position = _feistel(position, bits, salt)
        if position < size:
            return position


def _feistel(value: int, bits: int, salt: bytes) -> int:
    mask = (1 << bits) - 1
    left, right = value >> bits, value & mask
    for number in range(ROUNDS):
        mixed = hashlib.blake2b(b"%d/%d/" % (number, right) + salt, digest_size=8).digest()
        left, right = right, left ^ (int.from_bytes(mixed, "little") & mask)
    return left << bits | right
