"""The probe datagram, version 4, as in docs/protocol/probe.md. It was written from that page and not from the
product's code. Floods and attacks use it."""

import base64
import hashlib
import hmac
import os
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

LABEL = b"causeway probe v4"
NODE_PORT, ASK_PORT, TUNNEL_PORT = 4797, 4796, 4797
REQUEST, REPLY = 1, 2
NODE = 0xffffffff


def raw(key):
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def new_private():
    return base64.b64encode(os.urandom(32)).decode()


def public_of(private):
    return base64.b64encode(
        raw(X25519PrivateKey.from_private_bytes(base64.b64decode(private)).public_key())).decode()


def pair_key(private, public, label=LABEL):
    """Of our private and their public key, both base64."""
    own = X25519PrivateKey.from_private_bytes(base64.b64decode(private))
    other = X25519PublicKey.from_public_bytes(base64.b64decode(public))
    low, high = sorted((raw(own.public_key()), raw(other)))
    secret = hmac.new(bytes(32), own.exchange(other), hashlib.sha256).digest()
    return hmac.new(secret, label + b"\0" + low + high + b"\x01", hashlib.sha256).digest()


def party_id(public, name):
    return hashlib.sha256(b"causeway party id" + base64.b64decode(public) + name.encode()).digest()[:16]


def owner_id(node):
    """A node of a cluster, as claims name it; zeros for the cluster as a whole."""
    return hashlib.sha256(b"causeway owner" + node.encode()).digest()[:16] if node else bytes(16)


def claim(cluster, node, family, ordinal, epoch):
    name = cluster.encode()
    return (struct.pack("!BB", 2 if family == 6 else 0, len(name)) + name + owner_id(node) +
            struct.pack("!IQ", ordinal, epoch))


def sealed(body, key):
    return body + hashlib.blake2b(body, digest_size=16, key=key).digest()


class Asker:
    """One party that asks: `key` is the key of the pair, `party` its id."""

    def __init__(self, key, party, sender=NODE):
        self.key, self.party, self.sender = key, party, sender
        self.session, self.sequence, self.challenge = os.urandom(8), 0, 0

    def request(self, *claims):
        self.sequence += 1
        head = b"CWP4" + bytes([0, REQUEST, 0, 0]) + self.party + self.session
        head += struct.pack("!QQQI", self.sequence, 0, self.challenge, self.sender)
        return sealed(head + bytes([0, len(claims), 0, 0]) + b"".join(claims), self.key)

    def take(self, reply):
        """Whether it is an authentic reply; keeps its challenge."""
        good = len(reply) >= 80 and reply == sealed(reply[:-16], self.key) and reply[5] == REPLY
        if good:
            self.challenge = struct.unpack("!Q", reply[48:56])[0]
        return good


def claims_in(reply):
    """The claims of a reply, as (cluster, owner id in hex, family, ordinal, epoch)."""
    found, at = [], 64
    for _ in range(reply[60]):
        at += 2 + reply[at + 1]
    for _ in range(reply[61]):
        flags, name = reply[at:at + 2]
        cluster, owner = reply[at + 2:at + 2 + name].decode(), reply[at + 2 + name:at + 18 + name]
        at += 18 + name
        ordinal, epoch = struct.unpack("!IQ", reply[at:at + 12])
        found.append((cluster, owner.hex(), 6 if flags & 2 else 4, ordinal, epoch))
        at += 12
    return found
