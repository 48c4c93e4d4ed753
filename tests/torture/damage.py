"""Ways to damage a tensor file: each takes its bytes and a generator, and gives other bytes."""

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable

ODD_VALUES = (None, True, -1, 0, 1, 2**31, 2**63, 2**64, 10**400, 1.5, float("nan"), "", "F32", "BF16", "I64", "F33", "\ud800",
              [], [0], [-1], [2**40, 2**40], [4, 0], [0, 2**63], ["a"], {}, {"dtype": "F32"}, [[]] * 50)
LENGTHS = (0, 1, 2, 7, 2**20, 2**31, 2**32, 2**63, 2**64 - 1)


def flip_a_bit(whole: bytes, generator: random.Random) -> bytes:
    place = generator.randrange(len(whole))
    return whole[:place] + bytes([whole[place] ^ 1 << generator.randrange(8)]) + whole[place + 1:]


def flip_a_bit_at_an_end(whole: bytes, generator: random.Random) -> bytes:
    """Where headers and directories are."""
    if generator.random() < 0.5:
        return flip_a_bit(whole[:3000], generator) + whole[3000:]
    return whole[:-2000] + flip_a_bit(whole[-2000:], generator)


def put_bytes_in(whole: bytes, generator: random.Random) -> bytes:
    place = generator.randrange(len(whole) + 1)
    return whole[:place] + generator.randbytes(generator.randint(1, 9)) + whole[place:]


def take_bytes_out(whole: bytes, generator: random.Random) -> bytes:
    place = generator.randrange(len(whole))
    return whole[:place] + whole[place + generator.randint(1, 9):]


def overwrite_a_block(whole: bytes, generator: random.Random) -> bytes:
    place, size = generator.randrange(len(whole)), generator.randint(1, 600)
    block = generator.choice((bytes(size), generator.randbytes(size)))[:len(whole) - place]
    return whole[:place] + block + whole[place + len(block):]


def take_apart(whole: bytes) -> tuple[dict, bytes]:
    end = 8 + int.from_bytes(whole[:8], "little")
    return json.loads(whole[8:end]), whole[end:]


def put_together(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def edit_the_header(whole: bytes, generator: random.Random) -> bytes:
    """An odd value in the place of any other: dtypes, shapes, places and whole entries that no file should have."""
    header, data = take_apart(whole)
    table, name = header, generator.choice(list(header))
    while isinstance(table[name], (dict, list)) and table[name] and generator.random() < 0.8:
        table = table[name]
        name = generator.choice(list(table)) if isinstance(table, dict) else generator.randrange(len(table))
    table[name] = copy.deepcopy(generator.choice(ODD_VALUES))
    return put_together(header, data)


def move_a_tensor(whole: bytes, generator: random.Random) -> bytes:
    """Overlaps, holes, and the places of two tensors exchanged."""
    header, data = take_apart(whole)
    one, other = (header[name] for name in generator.sample([name for name in header if name != "__metadata__"], 2))
    if generator.random() < 0.3:
        one["data_offsets"], other["data_offsets"] = other["data_offsets"], one["data_offsets"]
    else:
        one["data_offsets"] = [place + generator.choice((-8, -4, 0, 4, 8, 64)) for place in one["data_offsets"]]
    return put_together(header, data)


def rename_a_tensor(whole: bytes, generator: random.Random) -> bytes:
    """A name that stands twice, is another tensor's, or is no name."""
    header, data = take_apart(whole)
    old, other = generator.sample(list(header), 2)
    new = generator.choice((other, "", "\0", "bert." + old, "x" * 100_000, old.upper(), "cls.x", "__metadata__"))
    text = json.dumps(header).replace(f'"{old}":', json.dumps(new) + ":")
    return put_together(text.encode(), data)


def change_the_length(whole: bytes, generator: random.Random) -> bytes:
    length = int.from_bytes(whole[:8], "little") + generator.randint(-9, 9)
    return generator.choice((*LENGTHS, length)).to_bytes(8, "little") + whole[8:]


def write_a_monster(whole: bytes, generator: random.Random) -> bytes:
    """Deep, long and crowded headers; seldom, because they take their time."""
    if generator.random() < 0.98:
        return edit_the_header(whole, generator)
    entry = b'"tensor.%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    crowd = b",".join(entry % number for number in range(generator.choice((10_000, 100_000))))
    monsters = (b"{" + crowd + b"}", b"[" * 1_000_000, b'{"a":' * 390_000, b"[" + b"[]," * 650_000 + b"1]",
                b"[" + b"{}," * 650_000 + b"1]", b'{"__metadata__":{"a":"' + b"x" * 1_990_000 + b'"}}')
    return put_together(generator.choice(monsters), b"")


def replace_pickle(whole: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """A zip file of torch.save, whole but for what its data.pkl says."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(file, "w") as target:
        for entry in source.infolist():
            content = source.read(entry)
            target.writestr(entry, change(content) if entry.filename.endswith("data.pkl") else content)
    return file.getvalue()


def edit_the_pickle(whole: bytes, generator: random.Random) -> bytes:
    way = generator.choice((flip_a_bit, put_bytes_in, take_bytes_out))
    return replace_pickle(whole, lambda content: way(content, generator))


ANY = (flip_a_bit, flip_a_bit_at_an_end, put_bytes_in, take_bytes_out, overwrite_a_block)
HEADERS = (edit_the_header, move_a_tensor, rename_a_tensor, change_the_length, write_a_monster)
