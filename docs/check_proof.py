#!/usr/bin/env python3
"""Checks the proof that one event was sealed. One file, Python's standard library only, meant to be read.

    python3 check_proof.py event.proof VKEY [VKEY of a witness ...]

VKEY is the verifier key of the ledger, which you have from somewhere else than the proof; it looks like
``logs.example.org/acme/1+5ad0f3b1+AZ1f...`` (https://c2sp.org/signed-note). Every key that you give must have signed.
Exits 0 if the proof holds, 1 if not.

With ``--write DIR`` it puts the record, the checkpoint and the time stamps into files. A time stamp (RFC 3161) is then
checked with:  openssl ts -verify -in DIR/0.tsr -data DIR/checkpoint -CAfile ROOT.pem
"""

import base64
import datetime as dt
import gzip
import hashlib
import io
import json
import pathlib
import sys

MOST_BYTES = 64 * 1024 * 1024  # of a proof with its record


class Wrong(Exception):
    """The proof does not hold."""


def require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Wrong(otherwise)


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# --- 1. Merkle trees: RFC 9162 section 2.1 -------------------------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data)


def root_from_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """Section 2.1.3.2: the root of a tree of `size` leaves, of which `leaf` is number `index`, by its path."""
    require(0 <= index < size, "the tree has no such leaf")
    fn, sn, root = index, size - 1, leaf
    for sibling in path:
        require(sn > 0, "a path is too long")
        if fn & 1 or fn == sn:
            root = sha256(b"\x01" + sibling + root)
            while not fn & 1 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            root = sha256(b"\x01" + root + sibling)
        fn, sn = fn >> 1, sn >> 1
    require(sn == 0, "a path is too short")
    return root


# --- 2. Ed25519: RFC 8032 section 5.1 ------------------------------------------------------------------------------
# Points are (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z on -x^2 + y^2 = 1 + d x^2 y^2.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_1 = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def add(a: Point, b: Point) -> Point:
    e = (a[1] - a[0]) * (b[1] - b[0])
    f = (a[1] + a[0]) * (b[1] + b[0])
    g = 2 * a[3] * b[3] * D
    h = 2 * a[2] * b[2]
    w, x, y, z = f - e, h - g, h + g, f + e
    return w * x % P, y * z % P, x * y % P, w * z % P


def times(number: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def same(a: Point, b: Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


def point_of(encoded: bytes) -> Point:
    """Section 5.1.3: y in little-endian order; the highest bit tells which x."""
    number = int.from_bytes(encoded, "little")
    y, sign = number & (2**255 - 1), number >> 255
    require(len(encoded) == 32 and y < P, "not a point")
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * SQRT_MINUS_1 % P
    require((x * x - square) % P == 0 and not (x == 0 and sign), "not a point on the curve")
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = point_of((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verifies(public: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7, without the cofactor: [S]B = R + [k]A."""
    if len(public) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    if s >= ORDER:
        return False
    try:
        a, r = point_of(public), point_of(signature[:32])
    except Wrong:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return same(times(s, BASE), add(r, times(k, a)))


# --- 3. Signed notes and checkpoints: https://c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature -----------------


def key_of(vkey: str) -> tuple[str, bytes, int, bytes]:
    """Name, id, type (1: log, 4: witness) and public key."""
    name, key_id, encoded = vkey.split("+", 2)
    body = from_base64(encoded)
    require(sha256(name.encode() + b"\n" + body)[:4].hex() == key_id, f"the verifier key of {name} has a wrong id")
    require(body[0] in (1, 4) and len(body) == 33, f"the verifier key of {name} is not one of Ed25519")
    return name, sha256(name.encode() + b"\n" + body)[:4], body[0], body[1:]


def signed_at(checkpoint: str, vkey: str) -> str:
    """Says how a key signed a checkpoint; wrong where it did not."""
    name, key_id, kind, public = key_of(vkey)
    text, _, lines = checkpoint.partition("\n\n")
    text += "\n"
    for line in lines.splitlines():
        signer, _, encoded = line.removeprefix("\u2014 ").partition(" ")
        body = from_base64(encoded)
        if (signer, body[:4]) != (name, key_id):
            continue
        if kind == 1:
            require(ed25519_verifies(public, text.encode(), body[4:]), f"the signature of {name} is wrong")
            return f"signed by {name}"
        seconds = int.from_bytes(body[4:12], "big")
        message = f"cosignature/v1\ntime {seconds}\n{text}"
        require(ed25519_verifies(public, message.encode(), body[12:]), f"the cosignature of {name} is wrong")
        return f"cosigned by {name} at {dt.datetime.fromtimestamp(seconds, dt.timezone.utc)}"
    raise Wrong(f"not signed by {name}")


# --- 4. The proof: record -> segment -> ledger -> checkpoint ----------------------------------------------------------


def number_in_segment(positions: list[list[int]], offset: int, index: int) -> int:
    """A manifest lists runs: first offset, number of messages, records in each of them."""
    before = 0
    for first, messages, records in positions:
        if first <= offset < first + messages and 0 <= index < records:
            return before + (offset - first) * records + index
        before += messages * records
    raise Wrong("the segment has no record at this place")


def from_base64(text: str) -> bytes:
    """Bytes in their only form."""
    body = base64.b64decode(text, validate=True)
    require(base64.b64encode(body).decode() == text, "base64 is not in its only form")
    return body


def from_hex(text: str) -> bytes:
    """A hash in its only form. Of another length, a part of the record could stand in its opening instead."""
    body = bytes.fromhex(text)
    require(len(body) == 32 and body.hex() == text, "a hash is not 64 digits of lower-case hex")
    return body


def check(proof: dict, vkeys: list[str]) -> list[str]:
    """Everything; gives what was proven, line by line."""
    manifest = proof["manifest"]
    leaf = from_hex(proof["leaf"])
    if proof["record"] is not None:
        record = from_base64(proof["record"])
        if "encryption" in manifest:  # an encrypted segment: what is in its tree is a commitment to the record
            record = b"\x01" + sha256(from_hex(proof["opening"]) + record)
        require(leaf_hash(record) == leaf, "the record is not the one of the leaf")
    # The record is in its segment: its leaf hash and its path give the root of the manifest.
    number = number_in_segment(manifest["positions"], proof["offset"], proof["index"])
    root = root_from_path(leaf, number, manifest["n"], [from_hex(each) for each in proof["path"]])
    require(root.hex() == manifest["root"], "the record is not in the segment at this place")
    # The manifest is in the ledger: its canonical JSON is an entry. What follows is a https://c2sp.org/tlog-proof.
    entry = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    head, _, checkpoint = proof["ledger"].partition("\n\n")
    kind, index, *hashes = head.split("\n")
    require(kind == "c2sp.org/tlog-proof@v1" and index.startswith("index "), "not a tlog-proof")
    origin, size, encoded_root = checkpoint.split("\n")[:3]
    path = [from_base64(each) for each in hashes]
    root = root_from_path(leaf_hash(entry), int(index[6:]), int(size), path)
    require(root == from_base64(encoded_root), "the manifest is not in the ledger")
    require(origin.split("/")[-2:-1] == [manifest["namespace"]], "the ledger is that of another namespace")
    # The checkpoint is signed by every key that was given, at least one of them of the log itself.
    signed = [signed_at(checkpoint, vkey) for vkey in vkeys]
    require(any(key_of(vkey)[0] == origin and key_of(vkey)[2] == 1 for vkey in vkeys), f"no key of {origin} is given")
    stream = manifest["stream"]
    return [
        f"record {proof['index']} of message {stream['topic']}/{stream['partition']}/{proof['offset']}",
        f"leaf {leaf.hex()}" + (" (the proof has no record)" if proof["record"] is None else ""),
        f"sealed at {manifest['sealed_at']} in segment {manifest['seq']} of {manifest['namespace']}",
        f"{index[6:]} is its entry in {origin}, a ledger of {size} entries then",
        *signed,
        *[f"{len(proof['stamps'])} time stamps, not checked here: see --write"] * bool(proof["stamps"]),
    ]


def main(arguments: list[str]) -> int:
    folder = None
    if "--write" in arguments[:-1]:
        at = arguments.index("--write")
        folder = pathlib.Path(arguments[at + 1])
        del arguments[at : at + 2]
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 3
    raw = pathlib.Path(arguments[0]).read_bytes()
    try:
        with gzip.open(io.BytesIO(raw)) as packed:  # a few bytes of gzip can become more than fits into memory
            proof = json.loads(packed.read(MOST_BYTES) if raw[:2] == b"\x1f\x8b" else raw)
        lines = check(proof, arguments[1:])
    except Exception as problem:  # noqa: BLE001 - whatever is wrong with a file, it proves nothing
        print(f"wrong: {problem}")
        return 1
    print("\n".join(["it holds:", *lines]))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "checkpoint").write_text(proof["ledger"].partition("\n\n")[2], "utf-8")
        (folder / "record").write_bytes(base64.b64decode(proof["record"] or ""))
        for number, stamp in enumerate(proof["stamps"]):
            (folder / f"{number}.tsr").write_bytes(base64.b64decode(stamp["reply"]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
