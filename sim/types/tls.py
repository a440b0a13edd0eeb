"""Tls' row.

Source: the plan modifiers of terraform-provider-tls 4's resource_private_key.go (`RequiresReplace` on all three).
No key is made: what comes out has the shape of one, says that it is simulated, and opens nothing.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from hashlib import md5, sha256

import pulumi_tls

from sim.types.row import ResourceType, words
from sim.values import Properties, text
from sim.world import Refusal

KINDS: Mapping[str, tuple[str, int]] = {
    "ED25519": ("ssh-ed25519", 32),
    "ECDSA": ("ecdsa-sha2-nistp256", 65),
    "RSA": ("ssh-rsa", 259),
}
"""By algorithm: the name of its public keys, and how many bytes follow it there."""


def private_key(_identity: str, given: Properties) -> Properties:
    algorithm = text(given, "algorithm")
    if algorithm not in KINDS:
        raise Refusal(f"PrivateKey: algorithm is {algorithm}, but must be one of {', '.join(KINDS)}")
    kind, size = KINDS[algorithm]
    public = _field(kind.encode()) + _field(secrets.token_bytes(size))
    encoded = base64.b64encode(public).decode()
    return {
        "ecdsaCurve": "P224",
        "privateKeyOpenssh": _document("OPENSSH PRIVATE KEY"),
        "privateKeyPem": _document("PRIVATE KEY"),
        "privateKeyPemPkcs8": _document("PRIVATE KEY"),
        "publicKeyFingerprintMd5": md5(public, usedforsecurity=False).digest().hex(":"),
        "publicKeyFingerprintSha256": f"SHA256:{base64.b64encode(sha256(public).digest()).decode().rstrip('=')}",
        "publicKeyOpenssh": f"{kind} {encoded}\n",
        "publicKeyPem": _document("PUBLIC KEY"),
        "rsaBits": 2048,
    }


def _field(content: bytes) -> bytes:
    """A string of the SSH protocol (RFC 4251): its length, and itself."""
    return len(content).to_bytes(4, "big") + content


def _document(label: str) -> str:
    body = base64.b64encode(b"simulated, opens nothing: " + secrets.token_bytes(16)).decode()
    return f"-----BEGIN {label}-----\n{body}\n-----END {label}-----\n"


PRIVATE_KEY = ResourceType(
    sdk=lambda: pulumi_tls.PrivateKeyArgs,
    replace_on=words("algorithm ecdsaCurve rsaBits"),
    computed_inputs=words("ecdsaCurve rsaBits"),
    computed=words("""
        privateKeyOpenssh privateKeyPem privateKeyPemPkcs8 publicKeyFingerprintMd5 publicKeyFingerprintSha256
        publicKeyOpenssh publicKeyPem
    """),
    secret=words("privateKeyOpenssh privateKeyPem privateKeyPemPkcs8"),
    compute=private_key,
)

TYPES: Mapping[str, ResourceType] = {"tls:index/privateKey:PrivateKey": PRIVATE_KEY}
