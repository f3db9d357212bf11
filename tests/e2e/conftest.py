"""Fixtures: the API server of the run, the hub's controllers, and a market of its own for each story."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from decent.cloudflare import CfSim, Cloudflare
from decent.cluster import Cluster
from decent.faults import FAULTS, Fault, sample
from decent.market import Market, Private
from decent.names import GatewayController
from decent.operator import SYSTEM, Operator
from decent.plane import Plane
from decent.process import alive
from decent.service import Service
from decent.settings import kubeconfig, testbed_dir

HUB = pytest.StashKey[list[Service]]()
CLOUDFLARE = pytest.StashKey[CfSim]()
MARKET = pytest.StashKey[Market]()
SEED = pytest.StashKey[int]()
MET = pytest.StashKey[bool]()


def hub_pids() -> Path:
    """Where workers find the hub's controllers."""
    return testbed_dir() / "hub.pids"


def cloudflare_dir() -> Path:
    """Where workers find the hub's Cloudflare."""
    return testbed_dir() / "cloudflare"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-hub", action="store_true", help="run without the hub's operator: stories of admission alone")
    parser.addoption("--fault", choices=sorted(FAULTS), help="arm this fault in every simulated Proxmox of every story")
    parser.addoption("--fault-seed", type=int, help="choose the sampled faults by this seed; printed if not given")


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", {}).get("fault_seed", config.option.fault_seed)
    config.stash[MET] = False
    config.stash[SEED] = random.SystemRandom().randrange(1 << 32) if given is None else given


def pytest_configure_node(node: object) -> None:
    """Every worker collects the same sample."""
    node.workerinput["fault_seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed = config.stash[SEED]
    armed = [f"every Proxmox has the fault {config.option.fault}"] if config.option.fault else []
    return [*armed, f"sampled faults: {', '.join(sample(seed))} (--fault-seed {seed})"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "sampled" in metafunc.fixturenames:
        metafunc.parametrize("sampled", sample(metafunc.config.stash[SEED]))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under a fault, stories that arm or count on their own do not run, nor does the sample."""
    if not config.option.fault:
        return
    for item in items:
        if mark := item.get_closest_marker("faultless"):
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))


def pytest_sessionstart(session: pytest.Session) -> None:
    """The hub's controllers run once, in the process that collects for all workers."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly or config.option.no_hub:
        return
    with Cluster(kubeconfig()) as cluster:
        cluster.ensure_namespace(SYSTEM)
    config.stash[CLOUDFLARE] = CfSim(cloudflare_dir())
    config.stash[HUB] = [
        Operator(kubeconfig(), testbed_dir(), replica="hub", request_limit="10m"),
        GatewayController(kubeconfig(), testbed_dir(), config.stash[CLOUDFLARE], replica="hub"),
    ]
    pids = [str(one.start().process.pid) for one in config.stash[HUB]]
    hub_pids().write_text(" ".join(pids))


def pytest_testnodedown(node: object) -> None:
    """A worker has ended: it says whether the fault of `--fault` was met."""
    node.config.stash[MET] |= getattr(node, "workeroutput", {}).get("fault_met", False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["fault_met"] = config.stash[MET]
    elif config.option.fault and not config.option.collectonly and not config.stash[MET]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nno request met the fault {config.option.fault}: nothing was shown")
    for one in config.stash.get(HUB, []):
        code, panics = one.stop(), one.panics()
        if code != 0 or panics:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            print(f"\nthe hub's {one.what} ended with {code}:\n{one.tail()}", *panics, sep="\n")
    if cloudflare := config.stash.get(CLOUDFLARE, None):
        cloudflare.stop()


class Scheduling(LoadScopeScheduling):
    """Every story by itself to the next free worker; those that share the second control plane to one."""

    def _split_scope(self, nodeid: str) -> str:
        return "private" if "test_private_" in nodeid else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster(kubeconfig()) as opened:
        yield opened


@pytest.fixture(scope="session")
def hub_log() -> Path:
    """Log of the hub's operator."""
    return testbed_dir() / "operator-hub.log"


def armed(request: pytest.FixtureRequest) -> Fault | None:
    """What `--fault` asks for."""
    return FAULTS.get(request.config.option.fault)


@pytest.fixture
def market(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Market]:
    """A market of the story's own: nobody else's Proxmox, namespaces or accounts."""
    gone = [pid for pid in hub_pids().read_text().split() if not alive(int(pid))]
    assert not gone, "a controller of the hub has ended: see the end of the run"
    made = Market(cluster, tmp_path, fault=armed(request))
    request.node.stash[MARKET] = made
    yield made
    made.close()
    request.config.stash[MET] |= made.met


@pytest.fixture(scope="session")
def cloudflare() -> Iterator[Cloudflare]:
    """The Cloudflare of the hub: zones are a story's own, its servers and its door are everybody's."""
    made = Cloudflare(cloudflare_dir() / "ready.json")
    yield made
    made.close()


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A second control plane; its stories are one group, so that it is started once."""
    made = Plane(tmp_path_factory.mktemp("plane"))
    yield made
    made.stop()


@pytest.fixture
def private(plane: Plane, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Private]:
    """A hub of the story's own: it starts the operators that it wants."""
    made = Private(plane.cluster, tmp_path, fault=armed(request), plane=plane)
    request.node.stash[MARKET] = made
    yield made
    made.close()
    request.config.stash[MET] |= made.met


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed and (made := item.stash.get(MARKET, None)):
        try:
            report.sections.append(("objects", made.dump()))
        except Exception as error:
            report.sections.append(("objects", f"could not be read: {error!r}"))
        for one in ("operator", "gateway-controller"):
            report.sections.append((one, relevant(testbed_dir() / f"{one}-hub.log", made)))
        if isinstance(made, Private):
            report.sections += [(one.what, one.tail()) for one in made.services]
    return report


def relevant(log: Path, made: Market) -> str:
    """The hub's last log lines that concern the story, and what is no info at all."""
    words = [*made.namespaces(), "panicked", '"ERROR"']
    pattern = re.compile("|".join(map(re.escape, words)))
    lines = [line for line in log.read_text(errors="replace").splitlines() if pattern.search(line)]
    return "\n".join(lines[-60:])
