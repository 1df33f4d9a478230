"""Signs the files of a report and checks them, in the format of C2SP signed notes.

The text of the note names every file with its SHA-256, in lines that `sha256sum -c` reads as well. The keys are those
of the ledger, under the name `<organisation>/reports`, so that a signature over a report can never be taken for one
over a checkpoint. https://c2sp.org/signed-note
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from storage.ledger.note import Note, parse
from storage.ledger.signing import ED25519, NoteSigner, VerifierKey

NOTE = "report.note"
_HEAD = "skytrail-report/v1"
_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._-]+)")


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check of a report found.

    Attributes:
        signed_by: Pinned keys whose signatures are right.
        problems: What is wrong, in words; a report is genuine only without any.
    """

    signed_by: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def origin_of(organisation: str) -> str:
    """Name of the keys for reports."""
    return f"{organisation}/reports"


def signed(files: Mapping[str, bytes], signers: Sequence[NoteSigner]) -> bytes:
    """The note over some files.

    Args:
        files: Name → content.
        signers: Keys of the ledger under `origin_of`; those of Ed25519 sign.
    """
    listed = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in sorted(files.items()))
    text = f"{_HEAD}\n{listed}"
    able = [signer for signer in signers if signer.key.algorithm == ED25519]
    return Note(text, tuple(signer.sign(text, 0) for signer in able)).encode()


def check(note: bytes, files: Mapping[str, bytes], keys: Sequence[VerifierKey]) -> Checked:
    """Check the files of a report against its note and pinned keys.

    Args:
        note: As `signed` made it.
        files: Every other file that is there.
        keys: Pinned.
    """
    found = Checked()
    try:
        read = parse(note)
        listed = _listed(read.text)
    except ValueError as exc:
        found.problems.append(f"{NOTE}: {exc}")
        return found
    found.signed_by.extend(str(key) for key in keys if any(key.verifies(read.text, each) for each in read.signatures))
    if not found.signed_by:
        found.problems.append("no pinned key signed it")
    for name, digest in listed.items():
        if name not in files:
            found.problems.append(f"{name}: is missing")
        elif hashlib.sha256(files[name]).hexdigest() != digest:
            found.problems.append(f"{name}: was altered")
    found.problems.extend(f"{name}: is no part of the report" for name in sorted(files.keys() - listed.keys()))
    return found


def _listed(text: str) -> dict[str, str]:
    """Files and their digests.

    Raises:
        ValueError: The text is not that of a report.
    """
    head, *lines = text.removesuffix("\n").split("\n")
    matches = [_LINE.fullmatch(line) for line in lines]
    if head != _HEAD or not lines or not all(matches):
        raise ValueError("it is no note of a report")
    named = {match.group(2): match.group(1) for match in matches if match}
    if len(named) != len(lines):
        raise ValueError("it names a file twice")
    return named
