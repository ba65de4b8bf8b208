"""Checks of the stack that is up."""

import time
from functools import partial
from pathlib import Path

from proof import stand_ins
from proof.engine import Engine, MissingError
from proof.stack import FILMS, NOT_OURS, Inside, Stack, wait_for
from proof.table import Note, Table

FILM, OTHER, STRANGER = "bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4"
CAMERA, VIDEO = "lobby", "bikes"
CORE = ("kafka", "redis", "gateway", "processor", "matcher", "films", "camera")
LOAD_CAMERAS, LOAD_FPS = 4, 5  # of each of them
CALM_SECONDS = 30.0
MOST_P99 = 3.0  # times the calm one


def comes_up(stack: Stack, table: Table, services: tuple[str, ...] = CORE) -> None:
    """All are healthy, and the demonstration's camera is identified."""
    with table.check("stack: up and healthy, in the order of health") as note:
        began = time.time()
        stack.up(*services)
        note.tell(f"{len(stack.containers('processor'))} processors; all healthy after {time.time() - began:.0f} s")
    with table.check("stack: the camera is identified, asked of the gateway") as note:
        stack.key = stack.vnome("keys", "add", "proof")
        seen = wait_for("the film on the camera", lambda: stack.seen(CAMERA, VIDEO, 0), 60)
        note.tell(f"{seen['video']} on {seen['camera']}, {time.time() - began:.0f} s after the first container")
        note.require(seen["confidence"] > 0.99, "it is sure")


def answers(stack: Stack, table: Table) -> None:
    """The gateway identifies a film that is indexed, and does not know one that is not."""
    with table.check("gateway: /v1/identify of a film and of a stranger") as note:
        known, unknown = stack.identify(stack.film(FILM)), stack.identify(stack.film(STRANGER))
        note.require(bool(known) and known[0]["video"] == VIDEO, f"the film is found ({known})")
        note.require(not unknown, f"the stranger is unknown ({unknown})")
        note.tell(f"{known[0]['video']} at {known[0]['at_seconds']:.2f} s, confidence {known[0]['confidence']:.4f}")
    with table.check("gateway: without a key it tells nothing, and the page is there") as note:
        key, stack.key = stack.key, "vn_00000000_no"
        try:
            stack.ask("/v1/sightings")
            note.require(False, "a wrong key is refused")
        except OSError as error:
            note.tell(str(error))
        finally:
            stack.key = key
        page = stack.python("import urllib.request as u;print(u.urlopen('http://127.0.0.1:8080/').read().decode())")
        note.require("<html" in page.lower(), "the phone's page is served")


def hardened(stack: Stack, table: Table) -> None:
    """As compose.yaml promises, looked at in the containers that run."""
    with table.check("containers: read-only, no capabilities, no root, bounded; only the gateway is open") as note:
        open_ports = {}
        containers = [name for service in stack.services() for name in stack.containers(service)]
        for told in stack.engine.inspect(*containers):
            name, host = told["Config"]["Labels"]["com.docker.compose.service"], told["HostConfig"]
            note.require(host["ReadonlyRootfs"], f"{name} is read-only")
            note.require(host["CapDrop"] == ["ALL"] and not host["CapAdd"], f"{name} has no capabilities")
            note.require("no-new-privileges:true" in host["SecurityOpt"], f"{name} gets no new rights")
            note.require(host["Memory"] > 0, f"{name} is bounded in memory")
            user = told["Config"]["User"]
            note.require(user.split(":")[0] not in ("", "0", "root"), f"{name} is not root")
            note.require(name.startswith(NOT_OURS) or user == "65532:65532", f"{name} is 65532")
            secrets = [text for text in told["Config"]["Env"] if "PASSWORD=" in text or text.startswith("VNOME_REDIS=")]
            note.require(not secrets, f"{name} has no secret in its variables")
            ports = told["NetworkSettings"]["Ports"] or {}
            if any(ports.values()):
                open_ports[name] = [
                    f"{given['HostIp']}:{port}" for port, bound in ports.items() for given in bound or ()
                ]
        note.tell(f"{len(containers)} containers; open: {open_ports}")
        note.require(set(open_ports) <= {"gateway", "grafana"}, "nothing else is open")


def measured(stack: Stack, table: Table) -> None:
    """Prometheus sees all that runs, and reads the rules."""
    with table.check("prometheus: all targets up, frames counted, rules loaded") as note:
        stack.up("prometheus")
        jobs = {"gateway": 1, "processor": len(stack.containers("processor")), "matcher": 1, "camera": 1}

        def up() -> dict[str, int] | None:
            found = stack.prometheus("/api/v1/query?query=count%20by%20(job)%20(up%20==%201)")["result"]
            counts = {one["metric"]["job"]: int(one["value"][1]) for one in found}
            return counts if jobs.items() <= counts.items() else None

        note.tell(f"up: {wait_for(f'{jobs} to be up', up, 60, 2)}")
        query = "/api/v1/query?query=sum(rate(vnome_frames_total%7Boutcome=%22coded%22%7D%5B30s%5D))"

        def rate() -> float | None:
            found = stack.prometheus(query)["result"]
            return float(found[0]["value"][1]) if found and float(found[0]["value"][1]) > 0 else None

        note.tell(f"{wait_for('frames to be counted', rate, 60, 2):.1f} frames/s coded")
        groups = stack.prometheus("/api/v1/rules")["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        wrong = [rule["name"] for rule in rules if rule.get("health") == "err"]
        firing = sorted({rule["name"] for rule in rules if rule.get("state") == "firing"})
        note.tell(f"{len(rules)} rules in {len(groups)} groups, firing: {', '.join(firing) or 'none'}")
        note.require(not wrong, f"rules without an error: {wrong}")


def pictured(stack: Stack, table: Table) -> None:
    """Grafana, where its image can be had."""
    with table.check("grafana: healthy, with its dashboards") as note:
        stand_ins.ensure(stack.engine, stand_ins.GRAFANA)
        stack.up("grafana")
        note.tell("up")


def edge(stack: Stack, engine: Engine, table: Table, folder: Path) -> None:
    """The agent's own image sends codes instead of pictures, and its camera is identified."""
    with table.check("image edge: its camera, which sends codes, is identified") as note:
        film = folder / "edge.mp4"
        film.write_bytes(stack.film(OTHER))
        film.chmod(0o644)
        folder.chmod(0o755)
        name = f"{stack.project}-edge"
        options = ["--detach", "--no-deps", "--name", name, "--volume", f"{film}:/films/edge.mp4:ro"]
        command = ["ingest", "/films/edge.mp4", "--camera", "gate", "--encode", "--loop"]
        stack.compose("run", *options, "camera", *command, VNOME_TAG="edge")
        try:
            seen = wait_for("the film on the edge's camera", lambda: stack.seen("gate", "bigbuckbunny", 0), 60)
            note.tell(f"{seen['video']} on {seen['camera']}")
        finally:
            engine("rm", "-f", "-v", name)


def heals(stack: Stack, table: Table, services: tuple[str, ...]) -> None:
    """Each container crashes in turn; meanwhile frames come, and none that Kafka acknowledged is lost."""
    load = _load(stack, "load")
    time.sleep(5)
    for service in services:
        for container in stack.containers(service):
            with table.check(f"crash of {stack.engine.inspect(container)[0]['Name'].rpartition('proof-')[2]}") as note:
                healed = stack.crash(container)
                after = time.time()
                wait_for("the camera to be identified again", partial(stack.seen, CAMERA, VIDEO, after))
                note.tell(f"well after {healed:.1f} s, the camera identified {time.time() - after:.1f} s later")
    with table.check("crashes: nothing acknowledged is lost, the catalogue is whole") as note:
        _nothing_lost(note, load.finish())
        note.tell(f"vnome check: {' '.join(stack.vnome('check').split())}")


def restarts(stack: Stack, table: Table) -> None:
    """Processors are replaced one by one under load."""
    delays: list[tuple[float, float]] = []
    calm = rolling = ended = 0.0
    with table.check("rolling restart of processors under load: no frame lost") as note:
        load = _load(stack, "roll")
        time.sleep(8)
        calm = time.time()
        time.sleep(CALM_SECONDS)
        rolling = time.time()
        for container in stack.containers("processor"):
            stack.engine("restart", "--time", "30", container)
            wait_for("the processor to be well", partial(stack.is_well, container))
        time.sleep(2)
        ended = time.time()
        told = load.finish()
        delays = [(ts, delay) for ts, delay in told["latencies"]]
        _nothing_lost(note, told)
        note.tell(f"two processors in {ended - rolling:.0f} s")
    with table.check("rolling restart of processors under load: capture to code, p99") as note:
        still = _p99([delay for ts, delay in delays if calm <= ts < rolling])
        moved = _p99([delay for ts, delay in delays if rolling <= ts < ended])
        note.tell(f"{still * 1000:.0f} ms calm, {moved * 1000:.0f} ms during it ({moved / still:.1f} times)")
        note.require(moved <= MOST_P99 * still, f"at most {MOST_P99:.0f} times the calm one")


def upgrades(stack: Stack, table: Table) -> None:
    """The gateway is made anew while a phone films."""
    with table.check("upgrade of the gateway while a phone films") as note:
        phone = stack.start_inside("phone", "phone.py", "ws://gateway:8080", stack.key, f"{FILMS}/{FILM}")
        time.sleep(8)
        began = time.time()
        stack.compose("up", "--detach", "--no-deps", "--no-build", "--force-recreate", "gateway")
        (container,) = stack.containers("gateway")
        wait_for("the gateway to be well", lambda: stack.is_well(container))
        time.sleep(6)
        told = phone.finish()
        before = [video for at, video in told["found"] if at < began]
        after = [(at, video) for at, video in told["found"] if at > began]
        back = [at for at in told["connected"] if at > began]
        note.require(before[:1] == [VIDEO], f"found before ({told['found']})")
        note.require(bool(after) and after[0][1] == VIDEO, f"found after ({told['found']})")
        note.tell(
            f"connected again {back[0] - began:.1f} s after its beginning, told the film {after[0][0] - began:.1f} s"
        )


def replicated(stack: Stack, table: Table) -> None:
    """The variant of three brokers and three masters: all slots served, and a broker may go."""
    with table.check("cluster: three masters serve all slots, three brokers have a copy each") as note:
        script = (
            "from pipeline.store import open_store\n"
            "with open_store() as s:\n"
            "    print(len(s.client.get_primaries()), s.client.cluster_info()['cluster_slots_ok'])\n"
            "from kafka.admin import KafkaAdminClient\n"
            "from pipeline.broker import bootstrap_servers, client_options\n"
            "admin = KafkaAdminClient(**client_options(bootstrap_servers()))\n"
            "told = admin.describe_topics(['vnome.frames'])[0]['partitions']\n"
            "print(min(len(one['isr_nodes']) for one in told))\n"
        )
        masters, slots, copies = stack.python(script, "processor").split()
        note.tell(f"{masters} masters, {slots} slots, {copies} copies in step")
        note.require((masters, slots, copies) == ("3", "16384", "3"), "all of them")
        heals(stack, table, ("kafka-2", "redis-2"))


def _load(stack: Stack, name: str) -> Inside:
    cameras = [f"{name}-{k}" for k in range(LOAD_CAMERAS)]
    return stack.start_inside(name, "frames.py", f"{FILMS}/{FILM}", str(LOAD_FPS), *cameras)


def _nothing_lost(note: Note, told: dict[str, object]) -> None:
    note.tell(f"{told['acknowledged']} frames acknowledged, {told['refused']} refused")
    note.require(int(str(told["acknowledged"])) > 100, "frames came")
    note.require(not told["lost"], f"none lost: {told['lost']}")
    note.require(not told["doubled"], f"none doubled: {told['doubled']}")


def _p99(values: list[float]) -> float:
    if len(values) < 100:
        raise MissingError(f"only {len(values)} frames were coded in the time")
    return sorted(values)[int(len(values) * 0.99)]
