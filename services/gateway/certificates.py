"""Whether a certificate can be shown to clients: it and its key fit, and are of a kind that Envoy takes."""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.domain.errors import InvalidRequest
from services.gateway.xds.edge import KeyPair

_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_LEAST_RSA_BITS = 2048
_GOOD_KEYS = "RSA, or an elliptic curve P-256, P-384 or P-521"


@dataclass(frozen=True)
class CertificateState:
    """How it stands with the certificate of one domain; `why` says what keeps the newest one out of force."""

    domain: str
    not_after: datetime | None = None
    why: str = ""


def judged(pair: KeyPair) -> datetime:
    """Until when the certificate is good. Raises InvalidRequest when it cannot be used with its key."""
    try:
        leaf = x509.load_pem_x509_certificates(pair.certificate.encode())[0]
        public = leaf.public_key()
    except ValueError as broken:
        raise InvalidRequest("certificate", "text that is no PEM", "a PEM certificate") from broken
    except UnsupportedAlgorithm as unknown:
        raise InvalidRequest(
            "certificate", f"one for a key of another kind ({unknown})", _GOOD_KEYS
        ) from unknown
    try:
        key = load_pem_private_key(pair.key.encode(), password=None)
    except TypeError as locked:
        raise InvalidRequest("key", "an encrypted key", "a PEM key without a password") from locked
    except ValueError as broken:
        raise InvalidRequest("key", "text that is no PEM key", "a PEM private key") from broken
    except UnsupportedAlgorithm as unknown:
        raise InvalidRequest("key", f"one of another kind ({unknown})", _GOOD_KEYS) from unknown
    if isinstance(key, rsa.RSAPrivateKey):
        if key.key_size < _LEAST_RSA_BITS:
            raise InvalidRequest("key", f"RSA with {key.key_size} bits", f"at least {_LEAST_RSA_BITS} bits")
    elif not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name not in _CURVES:
        raise InvalidRequest("key", type(key).__name__, _GOOD_KEYS)
    if key.public_key() != public:
        raise InvalidRequest("key", "one of another certificate", "the key of the certificate")
    return leaf.not_valid_after_utc
