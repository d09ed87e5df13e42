"""certificates.py - keys and certificates for stories, made by openssl once a run."""
import functools
import pathlib
import subprocess
import tempfile

DIRECTORY = pathlib.Path(tempfile.mkdtemp(prefix='weir-certificates-'))


def openssl(*words, **more):
    return subprocess.run(['openssl', *map(str, words)], check=True, capture_output=True,
                          cwd=DIRECTORY, **more).stdout


class Pair:
    """A certificate with its key: .crt and .key are texts in PEM, .paths are files."""

    def __init__(self, name):
        self.paths = DIRECTORY / f'{name}.crt', DIRECTORY / f'{name}.key'
        self.crt, self.key = (p.read_text() for p in self.paths)


def new_key(name, kind):
    if kind == 'rsa':
        openssl('genrsa', '-out', f'{name}.key', '2048')
    else:
        openssl('ecparam', '-name', kind, '-genkey', '-noout', '-out', f'{name}.key')


def authority(name='ca'):
    return make_authority(name)


@functools.cache
def make_authority(name):
    new_key(name, 'prime256v1')
    openssl('req', '-x509', '-new', '-key', f'{name}.key', '-days', '400', '-subj',
            f'/CN=weir test {name}', '-out', f'{name}.crt')
    return Pair(name)


@functools.cache
def certificate(*names, kind='prime256v1', by='ca', days=90, subject=None, extra=''):
    """Of an authority; names: DNS names, or addresses."""
    authority(by)
    name = '-'.join([by, kind, str(days), *names]).replace('*', 'any').replace('/', '_')
    new_key(name, kind)
    openssl('req', '-new', '-key', f'{name}.key', '-subj', subject or f'/CN={names[0]}',
            '-out', f'{name}.csr')
    kinds = ['IP' if n.replace('.', '').isdigit() or ':' in n else 'DNS' for n in names]
    alternative = ','.join(f'{k}:{n}' for k, n in zip(kinds, names))
    (DIRECTORY / f'{name}.ext').write_text(f'subjectAltName={alternative}\n{extra}\n')
    openssl('x509', '-req', '-in', f'{name}.csr', '-CA', f'{by}.crt', '-CAkey', f'{by}.key',
            '-CAcreateserial', '-days', days, '-extfile', f'{name}.ext', '-out', f'{name}.crt')
    return Pair(name)


def files(**pairs):
    """For launch(files=…): NAME.crt and NAME.key of each."""
    return {f'{name}.{end}': getattr(pair, end) for name, pair in pairs.items()
            for end in ('crt', 'key')}
