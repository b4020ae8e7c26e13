"""Ways to tamper with a published log that its key alone, or a pin, must reveal.

A mutation changes a copy of a log and says where that must be reported. Some rewrite all tiles
consistently, so that only the signature speaks against them; some sign anew, with another key or,
as a thief of the key or its owner could, with the same one: then only a pin does.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import TypeAlias

from audit.entry import Receipt
from audit.layout import CHECKPOINT, HEIGHT, WIDTH, Tile, join_bundle, split_bundle
from audit.merkle import hash_leaf, root_of
from audit.note import Signer
from audit.pin import Pin, PinnedCheckpoint
from tests.audit.published_logs import (
    ORIGIN,
    THIEF,
    make_entry,
    put,
    signed,
    write_files,
    write_log,
)


@dataclass(frozen=True)
class Original:
    """The log that is tampered with: at least one entry."""

    folder: Path
    entries: list[bytes]
    signer: Signer

    @property
    def size(self) -> int:
        return len(self.entries)

    def paths(self) -> list[str]:
        """Every file that verification looks at."""
        found = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(str(path.relative_to(self.folder)) for path in found)

    def needs(self, path: str) -> bool:
        """Whether a file belongs to the present size, and not only to a former one."""
        tile = Tile.parse(path)
        if tile is None or tile.width == WIDTH:
            return True
        items = self.size >> (HEIGHT * (tile.level or 0))
        return tile.width == items - tile.index * WIDTH

    def receipt(self, index: int) -> Receipt:
        return Receipt(self.signer.name, index, hash_leaf(self.entries[index]))

    def checkpoint(self, size: int) -> PinnedCheckpoint:
        root = root_of(map(hash_leaf, self.entries[:size]))
        return PinnedCheckpoint(signed(size, root, self.signer))


@dataclass(frozen=True)
class Mutation:
    """One way to tamper.

    places  one of these must be named: the beginning of a place, or anywhere in a message
    pins    what the verifier has in hand, where the key alone cannot reveal it
    """

    name: str
    apply: Callable[[Path], object]
    places: tuple[str, ...]
    pins: tuple[Pin, ...] = ()


Maker: TypeAlias = Callable[[Original, random.Random], Mutation | None]


def mutations(original: Original, *, many: bool) -> Iterator[Mutation]:
    """Mutations of all kinds in turn, two rounds or `many`; the same ones for the same size."""
    rounds = 2 if not many or original.size > 1000 else 10
    count = rounds * len(_MAKERS)
    dice = random.Random(original.size)  # noqa: S311 - only the choice of tests hangs on it
    made = (maker(original, dice) for maker in cycle(_MAKERS))
    return islice((mutation for mutation in made if mutation), count)


def _bytes_of(original: Original, dice: random.Random) -> tuple[str, bytes]:
    path = dice.choice(original.paths())
    return path, (original.folder / path).read_bytes()


def _change(name: str, path: str, data: bytes) -> Mutation:
    return Mutation(f"{name} {path}", lambda folder: put(folder, path, data), (path,))


def flip_a_bit(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    at = dice.randrange(len(data))
    changed = data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
    return _change(f"flip a bit at {at} of", path, changed)


def set_a_byte(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    at = dice.randrange(len(data))
    changed = data[:at] + bytes([(data[at] + dice.randrange(1, 256)) % 256]) + data[at + 1 :]
    return _change(f"set the byte at {at} of", path, changed)


def insert_a_byte(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    at = dice.randrange(len(data) + 1)
    return _change(f"insert at {at} of", path, data[:at] + dice.randbytes(1) + data[at:])


def drop_a_byte(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    at = dice.randrange(len(data))
    return _change(f"drop the byte at {at} of", path, data[:at] + data[at + 1 :])


def truncate(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    return _change("truncate", path, data[: dice.randrange(len(data))])


def zero_the_end(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    keep = dice.randrange(len(data))
    return _change("zero the end of", path, data[:keep] + bytes(len(data) - keep))


def append_bytes(original: Original, dice: random.Random) -> Mutation:
    path, data = _bytes_of(original, dice)
    return _change("append to", path, data + dice.randbytes(dice.choice([1, 2, 32, 9000])))


def remove_a_file(original: Original, dice: random.Random) -> Mutation:
    path = dice.choice([path for path in original.paths() if original.needs(path)])
    return Mutation(f"remove {path}", lambda folder: (folder / path).unlink(), (path,))


def put_another_thing(original: Original, dice: random.Random) -> Mutation:
    path, _ = _bytes_of(original, dice)
    thing = dice.choice(["folder", "link", "pipe"])

    def apply(folder: Path) -> None:
        target = folder / path
        target.unlink()
        if thing == "folder":
            target.mkdir()
            (target / "file").write_bytes(b"")
        elif thing == "link":
            target.symlink_to(original.folder / path)
        else:
            os.mkfifo(target)

    return Mutation(f"put a {thing} for {path}", apply, (path,))


def exchange_two_files(original: Original, dice: random.Random) -> Mutation | None:
    one, other = (_bytes_of(original, dice) for _ in range(2))
    if one[1] == other[1]:
        return None

    def apply(folder: Path) -> None:
        put(folder, one[0], other[1])
        put(folder, other[0], one[1])

    return Mutation(f"exchange {one[0]} and {other[0]}", apply, (one[0], other[0]))


def add_a_tile(original: Original, dice: random.Random) -> Mutation:
    tile = Tile(dice.choice([None, 0, 1, 5]), original.size // WIDTH + dice.randrange(1, 3000))
    return _change("add", tile.path, dice.randbytes(8192))


def add_a_partial_tile(original: Original, dice: random.Random) -> Mutation | None:
    width = dice.randrange(1, WIDTH)
    tile = Tile(dice.choice([None, 0]), dice.randrange(original.size // WIDTH + 1), width)
    if tile.path in original.paths():
        return None
    foreign = [make_entry(number, note="foreign") for number in range(width)]
    data = join_bundle(foreign) if tile.level is None else b"".join(map(hash_leaf, foreign))
    return _change("add", tile.path, data)


def add_a_file(original: Original, dice: random.Random) -> Mutation:
    path = dice.choice(["notes.txt", "tile/8/000", "tile/0/0", "tile/0/000.p/0", "checkpoint.old"])
    return _change("add", path, b"extra")


def change_a_bundle(original: Original, dice: random.Random) -> Mutation | None:
    """Drop, swap or repeat entries in a bundle alone."""
    tile = Tile(None, dice.randrange(-(-original.size // WIDTH)))
    tile = Tile(None, tile.index, min(WIDTH, original.size - tile.index * WIDTH))
    entries = split_bundle((original.folder / tile.path).read_bytes())
    changed = _rearranged(entries, dice)
    return changed and _change(changed[0], tile.path, join_bundle(changed[1]))


def rewrite_consistently(original: Original, dice: random.Random) -> Mutation | None:
    """The same with all entries and all tiles, so that only the signed root is left."""
    changed = _rearranged(original.entries, dice)
    if not changed:
        return None
    name, entries = changed
    return Mutation(
        f"{name} consistently", lambda folder: write_files(folder, entries), ("tile/", CHECKPOINT)
    )


def forge_consistently(original: Original, dice: random.Random) -> Mutation:
    entries, at = original.entries[:], dice.randrange(original.size)
    entries[at] = entries[at].replace(b'"decision"', b'"decisiom"')
    return Mutation(f"forge entry {at}", lambda folder: write_files(folder, entries), (CHECKPOINT,))


def cut(original: Original, dice: random.Random) -> Mutation:
    """Leave a consistent beginning under the checkpoint of the whole."""
    keep = dice.randrange(original.size)
    return Mutation(
        f"cut to {keep}", lambda folder: write_files(folder, original.entries[:keep]), ("tile/",)
    )


def replace_the_key(original: Original, dice: random.Random) -> Mutation:
    entries = original.entries[: dice.randrange(original.size + 1)]
    thief = dice.choice([THIEF, Signer("other.example", THIEF._key)])
    return Mutation(
        f"sign with {thief.vkey}", lambda folder: write_log(folder, entries, thief), (CHECKPOINT,)
    )


def state_another_origin(original: Original, dice: random.Random) -> Mutation:
    root = root_of(map(hash_leaf, original.entries))
    text = signed(original.size, root, original.signer).split("\n\n")[0] + "\n"
    origin = dice.choice(["log.example/b", ORIGIN.upper(), f"{ORIGIN}/"])
    note = original.signer.sign(text.replace(original.signer.name, origin, 1))
    return _change("state another origin in", CHECKPOINT, note.encode())


def sign_another_root(original: Original, dice: random.Random) -> Mutation:
    """What only a fault of the log itself, or the loss of its key, brings about."""
    size = dice.choice([original.size, original.size + 1, max(0, original.size - 1)])
    note = signed(size, dice.randbytes(32), original.signer)
    return Mutation(
        f"sign another root for {size}",
        lambda folder: put(folder, CHECKPOINT, note.encode()),
        (CHECKPOINT,),
    )


def roll_back(original: Original, dice: random.Random) -> Mutation:
    keep = dice.randrange(original.size)
    kept = dice.randrange(keep, original.size)
    pins: list[Pin] = [original.receipt(kept), original.checkpoint(kept + 1)]
    return Mutation(
        f"roll back to {keep}",
        lambda folder: write_log(folder, original.entries[:keep], original.signer),
        ("pin 1",),
        (dice.choice(pins),),
    )


def fork(original: Original, dice: random.Random) -> Mutation:
    """Another history, longer even, signed with the same key."""
    entries, at = original.entries[:], dice.randrange(original.size)
    entries[at] = entries[at].replace(b'"decision"', b'"decisiom"')
    entries += [make_entry(number, boot=1 << 20) for number in range(dice.randrange(3))]
    later = dice.randint(at + 1, original.size)
    pins: list[Pin] = [original.receipt(at), original.checkpoint(later)]
    return Mutation(
        f"fork at {at}",
        lambda folder: write_log(folder, entries, original.signer),
        ("pin 1",),
        (dice.choice(pins),),
    )


def _rearranged(entries: list[bytes], dice: random.Random) -> tuple[str, list[bytes]] | None:
    changed, at = entries[:], dice.randrange(len(entries))
    what = dice.choice(["drop", "swap", "repeat", "move"])
    if what == "drop":
        del changed[at]
    elif what == "repeat":
        changed.insert(at, changed[at])
    elif what == "move":
        changed.append(changed.pop(at))
    else:
        other = dice.randrange(len(entries))
        changed[at], changed[other] = changed[other], changed[at]
    return None if changed == entries else (f"{what} entry {at}", changed)


_MAKERS: tuple[Maker, ...] = (
    flip_a_bit,
    set_a_byte,
    insert_a_byte,
    drop_a_byte,
    truncate,
    zero_the_end,
    append_bytes,
    remove_a_file,
    put_another_thing,
    exchange_two_files,
    add_a_tile,
    add_a_partial_tile,
    add_a_file,
    change_a_bundle,
    rewrite_consistently,
    forge_consistently,
    cut,
    replace_the_key,
    state_another_origin,
    sign_another_root,
    roll_back,
    fork,
)
