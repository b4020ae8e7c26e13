"""Links over TLS: the certificate of the other side is checked, by the name that was configured."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.catalogue.servers import Equipment, ServerSpec, build_link
from tests.gateway.links.conftest import up
from tests.gateway.links.http_upstream import Upstream, eventually, permit

NOW = dt.datetime.now(dt.UTC)


def certificate(folder: Path, names: list[x509.GeneralName], *, days: int = 1) -> Path:
    """A certificate that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=9))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class SecureUpstream(Upstream):
    """The scripted server with a certificate."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(path)
        self.is_modern()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self.context, ssl_shutdown_timeout=1
        )
        return self


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[tuple[SecureUpstream, Path]]:
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    path = certificate(tmp_path, names)
    async with SecureUpstream(path) as server:
        yield server, path


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_server_with_a_trusted_certificate_is_called(
    host: str, local: tuple[SecureUpstream, Path], equipment: Equipment
) -> None:
    server, path = local
    around = replace(equipment, tls=ssl.create_default_context(cafile=path))
    link = build_link("s", ServerSpec(url=f"https://{host}:{server.port}/mcp"), around)
    await up(link)
    for _ in range(3):
        await link.call(permit(), timeout_s=5)
    assert server.connections == 1
    await link.close()


@pytest.mark.parametrize(
    ("names", "days", "trusted"),
    [
        pytest.param([x509.DNSName("localhost")], 1, False, id="unknown-issuer"),
        pytest.param([x509.DNSName("other.example")], 1, True, id="other-name"),
        pytest.param([x509.DNSName("localhost")], -1, True, id="expired"),
    ],
)
async def test_a_certificate_that_does_not_prove_the_name_is_refused(
    names: list[x509.GeneralName],
    days: int,
    trusted: bool,
    tmp_path: Path,
    equipment: Equipment,
) -> None:
    path = certificate(tmp_path, names, days=days)
    tls = ssl.create_default_context(cafile=path) if trusted else ssl.create_default_context()
    async with SecureUpstream(path) as server:
        spec = ServerSpec(url=f"https://localhost:{server.port}/mcp")
        link = build_link("s", spec, replace(equipment, tls=tls))
        await link.start()
        await eventually(lambda: link.trouble is not None)
        assert "TLS" in str(link.trouble)
        assert not server.heard
        await link.close()
