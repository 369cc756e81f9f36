"""Signing the requests of one lane: a signer for each of its few targets, made at its first request."""

from busbar_fast.aws.credentials import AccessKeys
from busbar_fast.aws.sigv4 import DerivedKeys, Draft, Place, RequestSigner

_MOST_TARGETS = 8  # of one lane; more come from queries that clients write


class LaneSigner:
    """Signs what a lane sends."""

    __slots__ = ("_credential", "_headers", "_keys", "_place", "_signers")

    def __init__(self, credential: AccessKeys, place: Place, host: bytes, content_type: bytes) -> None:
        self._credential = credential
        self._place = place
        self._headers = ((b"content-type", content_type), (b"host", host))
        self._keys = DerivedKeys()
        self._signers: dict[bytes, RequestSigner] = {}

    def __call__(self, target: bytes, body: bytes, epoch_s: int) -> bytes:
        """Return the header lines that sign a request."""
        signer = self._signers.get(target)
        if signer is None:
            draft = Draft(b"POST", target, self._headers)
            signer = RequestSigner(self._credential, self._place, draft, self._keys)
            if len(self._signers) < _MOST_TARGETS:
                self._signers[target] = signer
        return signer.sign(body, epoch_s)
