"""`vnome demo --web`: everything on one machine for a phone of your own, over HTTPS with a self-made certificate."""

import ipaddress
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.console import timecode
from pipeline.details import Details, poster_of
from pipeline.encoder import default_encoder
from pipeline.errors import InputError
from pipeline.folders import make_folder
from pipeline.gateway.pages import built_pages
from pipeline.gateway.server import Options, serve_forever
from pipeline.indexing import code_film, fingerprint
from pipeline.library import Library
from pipeline.media import read_frames
from pipeline.settings import settings
from pipeline.store import Store, open_store
from pipeline.subtitles import Cue, as_webvtt
from pipeline.videos import VideoFields

DAYS = 365  # of the certificate
ANYWHERE = "0.0.0.0"  # noqa: S104  a phone is another machine
CUE_SECONDS = 2.0
WORDS = {  # of the subtitles of a film that has none: they tell the moment, so that one sees that they are in step
    "en": "{title}: you are at {moment}",
    "it": "{title}: sei a {moment}",
    "de": "{title}: du bist bei {moment}",
}


def serve_demo(films: Sequence[Path], port: int) -> None:
    """Indexes films in an empty catalogue and serves the pages until Ctrl-C.

    Raises InputError when the pages are not built, ServiceError when the port is taken.
    """
    if built_pages() is None:
        raise InputError("the pages are not built; type make web, which needs Node.js 18 or later with npm")
    certificate, key = make_certificate(settings().home / "tls", addresses())
    with private_home() as home, open_store("embedded", home=home) as store:
        lengths = {}
        for film in films:
            print(f"indexing {film.stem} ...", flush=True)
            lengths[film.stem] = add_film(store, film)
        longest = max(lengths, key=lambda name: lengths[name])
        folders = tuple(dict.fromkeys(film.parent for film in films))
        options = Options(ANYWHERE, port, public=True, films=folders, tls_cert=certificate, tls_key=key)
        serve_forever(options, lambda port: print(invitation(longest, port), flush=True))


def invitation(film: str, port: int) -> str:
    """What to do, and a code to scan."""
    place = f"https://{addresses()[0]}:{port}/"
    lines = [
        "",
        qr_code(place),
        f"1. On this machine play a film: https://localhost:{port}/studio?q={film}",
        f"2. On your phone, in the same network, scan the code or open {place}",
        "   The certificate is made by this machine, so the browsers warn once: go on.",
        "3. Press the button, and point the phone at the film.",
        "Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def qr_code(text: str) -> str:
    """A QR code of half blocks, for a terminal of any colours."""
    rows = [list(row) for row in segno.make(text, error="l").matrix_iter(border=2)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    marks = {(0, 0): "\u2588", (0, 1): "\u2580", (1, 0): "\u2584", (1, 1): " "}  # light is drawn, dark is left out
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join("".join(marks[int(bool(a)), int(bool(b))] for a, b in zip(*pair, strict=True)) for pair in pairs)


def add_film(store: Store, film: Path) -> float:
    """Indexes a film and returns its length in seconds.

    Its subtitles lie beside it as NAME.LANG.vtt or .srt, else there are some that tell the moment.
    """
    encoder = default_encoder()
    coded = code_film(film, encoder, lambda _: None)
    fields = VideoFields(film.stem, film.stem, film.name, fingerprint(film), encoder.bundle.sha256)
    beside = {
        path.suffixes[-2][1:]: path.read_text(encoding="utf-8-sig")
        for path in film.parent.glob(f"{film.stem}.*")
        if path.suffix in (".vtt", ".srt") and len(path.suffixes) > 1
    }
    subtitles = beside or telling_moments(film.stem, coded.duration_seconds)
    library = Library(store)
    library.add(fields, coded.track, coded.duration_seconds, coded.frames, subtitles, coded.motion)
    frame = next(read_frames(film, start_seconds=coded.duration_seconds / 3), None)
    if frame is not None:
        Details(library).set_poster(film.stem, poster_of(frame.image))
    return coded.duration_seconds


def telling_moments(title: str, duration_seconds: float) -> dict[str, str]:
    """Subtitles that tell the moment, by language."""
    starts = [k * CUE_SECONDS for k in range(int(duration_seconds / CUE_SECONDS) + 1)]
    texts = {}
    for language, words in WORDS.items():
        spoken = [words.format(title=title, moment=timecode(start)[:-3]) for start in starts]
        texts[language] = as_webvtt(
            [Cue(start, start + CUE_SECONDS, said) for start, said in zip(starts, spoken, strict=True)]
        )
    return texts


@contextmanager
def private_home() -> Iterator[Path]:
    """A data folder for the demo alone, which the processes it starts use, too."""
    names = ("VNOME_HOME", "VNOME_REDIS")
    kept = {name: os.environ.get(name) for name in names}
    with tempfile.TemporaryDirectory(prefix="vnome-demo-", ignore_cleanup_errors=True) as folder:
        os.environ.update(VNOME_HOME=folder, VNOME_REDIS="embedded")
        settings.cache_clear()
        try:
            yield Path(folder)
        finally:
            for name, value in kept.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
            settings.cache_clear()


def addresses() -> list[str]:
    """Of this machine: the one by which others reach it first, the loopback last."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # of no machine (RFC 5737); a datagram socket sends nothing by this
            found.append(str(probe.getsockname()[0]))
        except OSError:  # no network
            pass
    return list(dict.fromkeys([*found, "127.0.0.1"]))


def make_certificate(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """A certificate and its key, PEM files in a folder, for these addresses; those of a former demo while they hold.

    A phone that has accepted the certificate once is then not asked again. Raises InputError for a folder that cannot
    be written.
    """
    make_folder(folder)
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if certificate.is_file() and key.is_file() and _holds(certificate, names):
        return certificate, key
    private = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "VNOME on this machine")])
    others = [x509.DNSName("localhost"), *(x509.IPAddress(ipaddress.ip_address(name)) for name in names)]
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.SubjectAlternativeName(others), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    key.unlink(missing_ok=True)
    with open(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    return certificate, key


def _holds(certificate: Path, names: Sequence[str]) -> bool:
    """Whether a certificate is for these addresses, and does for another week."""
    try:
        known = x509.load_pem_x509_certificate(certificate.read_bytes())
        spoken = known.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, OSError, x509.ExtensionNotFound):
        return False
    for_names = {str(address) for address in spoken.get_values_for_type(x509.IPAddress)}
    return for_names >= set(names) and known.not_valid_after_utc > datetime.now(UTC) + timedelta(days=7)
