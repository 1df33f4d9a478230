"""People with keys, for tests."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.ledger.signing import NoteSigner

NAMES = ("alice", "bob", "carol", "mallory")
SIGNERS = {
    name: NoteSigner(f"{name}.example.org", Ed25519PrivateKey.from_private_bytes(name[0].encode() * 32))
    for name in NAMES
}
PEOPLE = {name: str(signer.key) for name, signer in SIGNERS.items() if name != "mallory"}
"""Those whom the policy knows; mallory is none of them."""
