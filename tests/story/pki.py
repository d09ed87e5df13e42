"""pki.py - authorities, certificates and OCSP answers for stories, made as they are wanted."""
import datetime
import functools
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID as AIA
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def now():
    return datetime.datetime.utcnow().replace(microsecond=0)


def days(n):
    return datetime.timedelta(days=n)


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Pair:
    """A certificate with its key."""

    def __init__(self, cert, key):
        self.cert, self.secret = cert, key

    @property
    def crt(self):
        return self.cert.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key(self):
        return self.secret.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()).decode()


class Authority(Pair):
    def __init__(self, name='weir story authority'):
        key = ec.generate_private_key(ec.SECP256R1())
        cert = (x509.CertificateBuilder().subject_name(common_name(name))
                .issuer_name(common_name(name)).public_key(key.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(now() - days(1)).not_valid_after(now() + days(365))
                .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
                               critical=False)
                .sign(key, hashes.SHA256()))
        super().__init__(cert, key)

    def issue(self, *names, last=90, first=-1, responder=None, kind='ec', signs_ocsp=False):
        """A certificate that is good from day `first` to day `last`, counted from now."""
        key = ec.generate_private_key(ec.SECP256R1()) if kind == 'ec' else \
            rsa.generate_private_key(65537, 2048)
        b = (x509.CertificateBuilder().subject_name(common_name(names[0]))
             .issuer_name(self.cert.subject).public_key(key.public_key())
             .serial_number(x509.random_serial_number())
             .not_valid_before(now() + days(first))
             .not_valid_after(now() + days(last) - datetime.timedelta(minutes=1))
             .add_extension(x509.SubjectAlternativeName([alternative(n) for n in names]),
                            critical=False))
        if responder:
            b = b.add_extension(x509.AuthorityInformationAccess([x509.AccessDescription(
                AIA.OCSP, x509.UniformResourceIdentifier(responder))]), critical=False)
        if signs_ocsp:
            b = b.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]),
                                critical=False)
        return Pair(b.sign(self.secret, hashes.SHA256()), key)

    def status(self, pair, revoked=False, this=-1, next_=7, signer=None, issuer=None):
        """An OCSP answer (DER); `this` and `next_` in days from now."""
        issuer, signer = issuer or self, signer or self
        state = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        b = ocsp.OCSPResponseBuilder().add_response(
            cert=pair.cert, issuer=issuer.cert, algorithm=hashes.SHA1(), cert_status=state,
            this_update=now() + days(this), next_update=None if next_ is None else
            now() + days(next_), revocation_time=now() - days(1) if revoked else None,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None)
        b = b.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.cert)
        if signer is not self:
            b = b.certificates([signer.cert])
        return b.sign(signer.secret, hashes.SHA256()) \
            .public_bytes(serialization.Encoding.DER)


@functools.cache
def authority():
    return Authority()


def files(**pairs):
    """For launch(files=…): NAME.crt and NAME.key of each."""
    return {f'{name}.{end}': getattr(pair, end) for name, pair in pairs.items()
            for end in ('crt', 'key')}
