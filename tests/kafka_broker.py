"""A real Apache Kafka on loopback: fetched by its Maven coordinates, one KRaft broker, run with the machine's Java.

`python -m tests.kafka_broker` (`make kafka`) runs it in the foreground for a developer. On Linux a broker dies with the
thread that started it, so nothing is left when the tests are killed; elsewhere it is stopped at an orderly end only.
"""

import argparse
import ctypes
import fcntl
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from tests.certificates import Authority, Certificate

VERSION = "4.3.1"
ARTIFACTS = (
    ("org.apache.kafka", "kafka_2.13", VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", "2.25.4"),  # as its log4j-core; without it Kafka logs nothing
)
CACHE_VARIABLE = "VNOME_KAFKA_CACHE"  # folder of the jars, instead of the user's cache
LEAST_JAVA = 17
FETCH_SECONDS = 900.0
START_SECONDS = 60.0
CLUSTER = "vnomevnomevnomevnomew"  # its id
PORTS = range(20_000, 32_000)  # below those that Linux gives to clients: a client could hold that of a dead broker
EXIT_SERVICE = 3
NO_JAVA = f"no java on this machine; install a Java {LEAST_JAVA} runtime"
_POM = """<project>
<modelVersion>4.0.0</modelVersion><groupId>vnome</groupId><artifactId>broker</artifactId><version>1</version>
<packaging>pom</packaging><dependencies>{}</dependencies></project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"
_LOG4J = """<Configuration status="WARN"><Appenders><File name="file" fileName="{}"><PatternLayout
pattern="%d %p %c %m%n"/></File></Appenders><Loggers><Root level="WARN"><AppenderRef ref="file"/></Root></Loggers>
</Configuration>
"""
_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
num.partitions=4
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.segment.bytes=67108864
"""
_SECURED = """listeners=PLAINTEXT://127.0.0.1:{port},{secured},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},{secured}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,\\
SASL_PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
ssl.keystore.type=PKCS12
ssl.keystore.location={store}
ssl.keystore.password={password}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
"""
_LOGIN = "listener.name.{}.{}.sasl.jaas.config=org.apache.kafka.common.security.{} required{};\n"
_REASON = re.compile(r"(?:Caused by: )?[\w.$]+(?:Exception|Error): (.+)|\S+ \S+ (?:ERROR|FATAL) \S+ (.+)")  # of a line


class BrokerError(Exception):
    """The broker cannot run here; one line says why and what to do."""


def missing() -> str | None:
    """Why no broker can run on this machine; None when it can."""
    if shutil.which("java") is None:
        return NO_JAVA
    if not _is_complete(cache_folder()) and shutil.which("mvn") is None:
        return f"Kafka {VERSION} is not in {cache_folder()}, and no mvn is there to fetch it; install maven"
    return None


def cache_folder() -> Path:
    """Where the jars are."""
    given = os.environ.get(CACHE_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_cache_dir("vnome", appauthor=False)) / f"kafka-{VERSION}"


def jars() -> Path:
    """The folder of Kafka's jars, fetched when they are not there. Raises BrokerError."""
    folder = cache_folder()
    if _is_complete(folder):
        return folder
    reason = missing()
    if reason is not None:
        raise BrokerError(reason)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may be fetching the same
        if not _is_complete(folder):
            _fetch(folder)
    return folder


def _is_complete(folder: Path) -> bool:
    return all((folder / f"{name}-{version}.jar").is_file() for _, name, version in ARTIFACTS)


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        pom, into = Path(work) / "pom.xml", Path(work) / "jars"
        pom.write_text(_POM.format("".join(_DEPENDENCY.format(*artifact) for artifact in ARTIFACTS)))
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        _run_maven([*command, f"-DoutputDirectory={into}"])
        if not _is_complete(into):
            raise BrokerError(f"maven fetched Kafka {VERSION} in part only; look at its settings")
        try:
            into.rename(folder)  # at once, and never over files that are there
        except OSError as error:
            told = f"{folder} holds something else than Kafka {VERSION} ({error.strerror})"
            raise BrokerError(f"{told}; set {CACHE_VARIABLE} to a folder of its own") from None


def _run_maven(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_SECONDS)
    except subprocess.TimeoutExpired:
        raise BrokerError(f"maven did not fetch Kafka {VERSION} within {FETCH_SECONDS:.0f} s") from None
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["maven said nothing"]
        raise BrokerError(f"maven cannot fetch Kafka {VERSION}: {lines[0][:300]}")


@dataclass(frozen=True)
class Locks:
    """How a broker is secured, beside its plain port: it listens once more for each of `PROTOCOLS`.

    user, password: of its one user, by SCRAM-SHA-512 or PLAIN. Port ssl takes only who shows a certificate.
    """

    PROTOCOLS = ("ssl", "sasl_plaintext", "sasl_ssl")

    authority: Authority
    server: Certificate
    user: str = "camera-hall"
    password: str = field(default="pa55-of-the-hall", repr=False)
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in Locks.PROTOCOLS})

    def at(self, protocol: str) -> str:
        """HOST:PORT where this protocol is spoken."""
        return f"localhost:{self.ports[protocol]}"

    def variables(self, protocol: str) -> dict[str, str]:
        """The settings of who uses this protocol as it should be used."""
        found = {"VNOME_KAFKA": self.at(protocol), "VNOME_KAFKA_SECURITY": protocol}
        if "sasl" in protocol:
            found |= {"VNOME_KAFKA_USER": self.user, "VNOME_KAFKA_PASSWORD": self.password}
        if "ssl" in protocol:
            found["VNOME_KAFKA_CA"] = str(self.authority.file)
        return found

    def properties(self, port: int, controller: int) -> str:
        """Of the broker, after the plain ones."""
        text = _SECURED.format(
            port=port,
            controller=controller,
            secured=",".join(f"{name.upper()}://{self.at(name)}" for name in self.PROTOCOLS),
            store=self.server.store,
            password=self.server.password,
            authority=self.authority.file,
        )
        for name in ("sasl_plaintext", "sasl_ssl"):
            text += _LOGIN.format(name, "scram-sha-512", "scram.ScramLoginModule", "")
            text += _LOGIN.format(name, "plain", "plain.PlainLoginModule", f' user_{self.user}="{self.password}"')
        return text

    def format_options(self) -> list[str]:
        """For Kafka's StorageTool: without a user that is there from the start, nobody could log in to make one."""
        return ["--add-scram", f"SCRAM-SHA-512=[name={self.user},password={self.password}]"]


class KafkaBroker:
    """One broker that is its own controller. data: its folder; a broker that starts again on it has what it had.

    locks: how it is secured, besides; default not.
    """

    def __init__(self, data: Path, port: int = 0, locks: Locks | None = None) -> None:
        _check_java()
        self.locks = locks
        self.data = data.absolute()
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._controller = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._classpath = f"{jars()}/*"

    def variables(self) -> dict[str, str]:
        """The settings of who uses it, where it is most secure."""
        return self.locks.variables("sasl_ssl") if self.locks else {"VNOME_KAFKA": self.bootstrap}

    def start(self) -> None:
        """Starts it and waits until it answers. Raises BrokerError."""
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "log4j2.xml").write_text(_LOG4J.format(self.data / "kafka.log"))
        properties = self.data / "server.properties"  # written anew: the ports may be others than last time
        text = _PROPERTIES.format(port=self.port, controller=self._controller, data=self.data / "log")
        properties.write_text(text + (self.locks.properties(self.port, self._controller) if self.locks else ""))
        if not (self.data / "log" / "meta.properties").exists():
            self._format(properties)
        with (self.data / "out.log").open("ab") as out:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(properties)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=_die_with_parent,
            )  # fmt: skip
        self._wait()

    def _format(self, properties: Path) -> None:
        command = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER, "-c", str(properties))
        command += self.locks.format_options() if self.locks else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
            raise BrokerError(f"Kafka cannot prepare {self.data}: {lines[-1][:300]}")

    def _java(self, *arguments: str) -> list[str]:
        small = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return [
            "java",
            *small,
            f"-Dlog4j2.configurationFile={self.data}/log4j2.xml",
            "-cp",
            self._classpath,
            *arguments,
        ]

    def _wait(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise BrokerError(f"Kafka stopped: {self.last_words()}")
            if _knows_itself(self.port):
                return
            time.sleep(0.1)
        raise BrokerError(f"Kafka does not answer after {START_SECONDS:.0f} s: {self.last_words()}")

    def last_words(self) -> str:
        """The last failure that it logged, in one line."""
        lines = [line for name in ("out.log", "kafka.log") for line in _lines(self.data / name)]
        found = [match[1] or match[2] for match in map(_REASON.match, lines) if match]
        return (found or lines or ["it said nothing"])[-1][:300]

    def stop(self) -> None:
        """Stops it orderly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Pulls the plug."""
        self._end(signal.SIGKILL)

    def wait(self) -> None:
        """Until it ends by itself, which it does in trouble only. Raises BrokerError."""
        assert self._process is not None
        self._process.wait()
        raise BrokerError(f"Kafka stopped: {self.last_words()}")

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def _knows_itself(port: int) -> bool:
    """Whether the broker answers and is in service: then it is itself in the list of brokers that it gives.

    Not asked by kafka-python, whose admin client leaves a thread behind when it cannot connect.
    """
    request = struct.pack(">hhihi", 3, 0, 1, -1, 0)  # Metadata, version 0, correlation 1, no client id, all topics
    try:
        with socket.create_connection(("127.0.0.1", port), 2.0) as client:
            client.sendall(struct.pack(">i", len(request)) + request)
            answer = client.recv(12, socket.MSG_WAITALL)  # length, correlation, number of brokers
    except OSError:
        return False
    return len(answer) == 12 and int.from_bytes(answer[8:]) > 0


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines() if log.exists() else []


class GivenBroker(KafkaBroker):
    """A broker that somebody else runs: nothing to start or stop here."""

    locks = None

    def __init__(self, bootstrap: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        if not host or not port.isdecimal():
            raise BrokerError(f"{bootstrap!r} is not HOST:PORT")
        self.bootstrap, self.port = bootstrap, int(port)

    def start(self) -> None:
        raise BrokerError(f"Kafka at {self.bootstrap} is not ours to start")

    def stop(self) -> None:
        raise BrokerError(f"Kafka at {self.bootstrap} is not ours to stop")

    kill = stop


@contextmanager
def running_broker(port: int = 0, data: Path | None = None, locks: Locks | None = None) -> Iterator[KafkaBroker]:
    """A broker for the block; without `data` it leaves nothing behind."""
    folder = data or Path(tempfile.mkdtemp(prefix="vn-kafka-"))
    try:
        broker = KafkaBroker(folder, port, locks)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
    finally:
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port of the loopback on which nobody listens, and which no client gets. Raises BrokerError."""
    for port in random.SystemRandom().sample(PORTS, 100):  # not the seeded one, by which all tests would try the same
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise BrokerError(f"no free port among {PORTS.start} to {PORTS.stop - 1}")


_LIBC = ctypes.CDLL(None)  # here, as little as possible is done between fork and exec


def _die_with_parent() -> None:
    if sys.platform == "linux":
        _LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _check_java() -> None:
    if shutil.which("java") is None:
        raise BrokerError(NO_JAVA)
    command = ["java", "-version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "((\d+)[^"]*)"', told)
    if found and int(found[2]) < LEAST_JAVA:
        raise BrokerError(f"java is version {found[1]}, Kafka {VERSION} needs {LEAST_JAVA}; install a newer one")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a broker until Ctrl-C or SIGTERM; its exit code."""
    parser = argparse.ArgumentParser(description="Runs Apache Kafka on loopback for development.")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, help="folder that is kept; default one that is thrown away")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's `&` has switched off
    try:
        _require_free(options.port)
        with running_broker(options.port, options.data) as broker:
            print(
                f"Kafka {VERSION} on {broker.bootstrap}; set VNOME_KAFKA={broker.bootstrap}; Ctrl-C stops it",
                flush=True,
            )
            broker.wait()
    except KeyboardInterrupt:
        return 0
    except BrokerError as error:
        told = str(error)
    except OSError as error:
        told = f"{error.filename or 'this machine'}: {error.strerror}"
    print(f"kafka: {told}", file=sys.stderr)
    return EXIT_SERVICE


def _require_free(port: int) -> None:
    if not 0 <= port < 65536:
        raise BrokerError(f"port {port} is not from 0 to 65535; give another with --port")
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise BrokerError(f"port {port}: {os.strerror(error.errno or 0)}; give another with --port") from None


if __name__ == "__main__":
    sys.exit(main())
