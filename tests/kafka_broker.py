"""A real Apache Kafka on loopback: fetched by its Maven coordinates, one KRaft broker, run with the machine's Java.

`python -m tests.kafka_broker` (`make kafka`) runs it in the foreground for a developer.
"""

import argparse
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

VERSION = "4.3.1"
COORDINATES = ("org.apache.kafka", "kafka_2.13", VERSION)
CACHE_VARIABLE = "VNOME_KAFKA_CACHE"  # folder of the jars, instead of the user's cache
LEAST_JAVA = 17
START_SECONDS = 60.0
EXIT_SERVICE = 3
_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion><groupId>vnome</groupId><artifactId>broker</artifactId><version>1</version>
<packaging>pom</packaging><dependencies><dependency>
<groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>
</dependency></dependencies></project>
"""
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


class BrokerError(Exception):
    """The broker cannot run here; one line says why and what to do."""


def missing() -> str | None:
    """Why no broker can run on this machine; None when it can."""
    if shutil.which("java") is None:
        return "no java on this machine; install a Java 17 runtime"
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
    return (folder / f"{COORDINATES[1]}-{VERSION}.jar").is_file()


def _fetch(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        pom, into = Path(work) / "pom.xml", Path(work) / "jars"
        pom.write_text(_POM.format(*COORDINATES))
        command = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        done = subprocess.run([*command, f"-DoutputDirectory={into}"], capture_output=True, text=True, check=False)
        if done.returncode or not _is_complete(into):
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["maven said nothing"]
            raise BrokerError(f"maven cannot fetch Kafka {VERSION}: {lines[0][:300]}")
        shutil.rmtree(folder, ignore_errors=True)
        into.rename(folder)


class KafkaBroker:
    """One broker that is its own controller. data: its folder; a broker that starts again on it has what it had."""

    def __init__(self, data: Path, port: int = 0) -> None:
        self.data = data
        self.port = port or _free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._controller = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._classpath = f"{jars()}/*"
        _check_java()

    def start(self) -> None:
        """Starts it and waits until it answers. Raises BrokerError."""
        self.data.mkdir(parents=True, exist_ok=True)
        properties = self.data / "server.properties"
        log = self.data / "kafka.log"
        (self.data / "log4j2.xml").write_text(_LOG4J.format(log))
        if not properties.exists():
            text = _PROPERTIES.format(port=self.port, controller=self._controller, data=self.data / "log")
            properties.write_text(text)
            format = ["kafka.tools.StorageTool", "format", "-t", "vnomevnomevnomevnomew", "-c", str(properties)]
            done = subprocess.run(self._java(*format), capture_output=True, text=True, check=False)
            if done.returncode:
                raise BrokerError(f"Kafka cannot prepare {self.data}: {(done.stderr or done.stdout).strip()[:300]}")
        with (self.data / "out.log").open("ab") as out:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(properties)), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                preexec_fn=_die_with_parent,
            )  # fmt: skip
        self._wait()

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
                raise BrokerError(f"Kafka stopped at once; see {self.data}/out.log and kafka.log")
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.5).close()
                KafkaAdminClient(bootstrap_servers=self.bootstrap, bootstrap_timeout_ms=2000).close()
            except (OSError, KafkaError):
                time.sleep(0.2)
                continue
            return
        raise BrokerError(f"Kafka does not answer after {START_SECONDS:.0f} s; see {self.data}/kafka.log")

    def stop(self) -> None:
        """Stops it orderly."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Pulls the plug."""
        self._end(signal.SIGKILL)

    def wait(self) -> None:
        """Until it ends."""
        if self._process is not None:
            self._process.wait()

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


@contextmanager
def running_broker(port: int = 0, data: Path | None = None) -> Iterator[KafkaBroker]:
    """A broker for the block; without `data` it leaves nothing behind."""
    folder = data or Path(tempfile.mkdtemp(prefix="vn-kafka-"))
    broker = KafkaBroker(folder, port)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        if data is None:
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _check_java() -> None:
    if shutil.which("java") is None:
        raise BrokerError("no java on this machine; install a Java 17 runtime")
    command = ["java", "-version"]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found and int(found[1]) < LEAST_JAVA:
        raise BrokerError(f"java is version {found[1]}, Kafka {VERSION} needs {LEAST_JAVA}; install a newer one")


def main() -> int:
    """Runs a broker until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Runs Apache Kafka on loopback for development.")
    parser.add_argument("--port", type=int, default=9092)
    parser.add_argument("--data", type=Path, help="folder that is kept; default one that is thrown away")
    options = parser.parse_args()
    try:
        socket.create_server(("127.0.0.1", options.port)).close()
        with running_broker(options.port, options.data) as broker:
            print(
                f"Kafka {VERSION} on {broker.bootstrap}; set VNOME_KAFKA={broker.bootstrap}; Ctrl-C stops it",
                flush=True,
            )
            broker.wait()
    except OSError as error:
        print(f"kafka: port {options.port}: {error.strerror}; give another with --port", file=sys.stderr)
        return EXIT_SERVICE
    except BrokerError as error:
        print(f"kafka: {error}", file=sys.stderr)
        return EXIT_SERVICE
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
