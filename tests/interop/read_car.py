"""Reads a CAR file: recomputes the CID of every block, walks the tree from the root, and prints each pair
as a line: key and value in hexadecimal digits, a space between them.

Usage: python read_car.py FILE, with the packages of requirements.txt.
"""

import sys
from io import BytesIO

import dag_cbor
from blake3 import blake3
from multiformats import CID, varint

PART_BYTES = 8192
FAN_OUT = 128


def section(stream):
    """Returns the bytes after a length, or None at the end of the file."""
    if not stream.getbuffer()[stream.tell() :]:
        return None
    length = varint.decode(stream)
    found = stream.read(length)
    if len(found) != length:
        raise ValueError("the file ends inside a block")
    return found


def read(path):
    """Returns the roots and the decoded blocks."""
    with open(path, "rb") as file:
        stream = BytesIO(file.read())
    header = dag_cbor.decode(section(stream))
    if header["version"] != 1:
        raise ValueError("not version 1")
    blocks = {}
    while (found := section(stream)) is not None:
        cid, block = CID.decode(found[:36]), found[36:]
        again = CID("base32", 1, "dag-cbor", ("blake3", blake3(block).digest()))
        if again != cid:
            raise ValueError(f"block {cid} hashes to {again}")
        if bytes(cid) in blocks:
            raise ValueError(f"block {cid} is there twice")
        blocks[bytes(cid)] = dag_cbor.decode(block)
    return header["roots"], blocks


def long_value(blocks, cid, length):
    """Returns a value that lives in pages of its own."""
    depth, most = 0, PART_BYTES
    while most < length:
        depth, most = depth + 1, most * FAN_OUT
    row = [blocks[bytes(cid)]]
    for _ in range(depth):
        row = [blocks[bytes(link)] for links in row for link in links]
    value = b"".join(row)
    if len(value) != length:
        raise ValueError(f"the value {cid} has {len(value)} bytes, not {length}")
    return value


def walk(blocks, cid, out):
    """Prints the pairs below a page, and returns how many there are."""
    page = blocks[bytes(cid)]
    if page[0] > 0:
        found = [walk(blocks, child, out) for child in page[2]]
        if found != page[3]:
            raise ValueError(f"a count of {cid} is wrong")
        return sum(found)
    for key, value in zip(page[1], page[2]):
        if not isinstance(value, bytes):
            value = long_value(blocks, value[1], value[0])
        out.write(f"{key.hex()} {value.hex()}\n")
    return len(page[1])


def main():
    (root,), blocks = read(sys.argv[1])
    walk(blocks, root, sys.stdout)


if __name__ == "__main__":
    main()
