"""The engines the contract is tested on. A further engine: a fixture ``<name>_address``, and its name in ENGINES."""

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import boto3
import pytest
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

from core.lending import ZERO_GPU_VARIABLE
from core.store.milvus_tables import connect, prefix_of
from tests.store.milvus_server import running_milvus
from tests.store.writer import Writer

ENGINES = ("folder", "s3", "milvus", "apart")


@pytest.fixture(params=ENGINES)
def address(request: pytest.FixtureRequest) -> str:
    """An address at which no library is yet, on each engine in turn."""
    if request.param == "apart" and "writers" in request.fixturenames:
        pytest.skip("One server and its forks share a process that holds libraries; others do not write to them there.")
    return str(request.getfixturevalue(f"{request.param}_address"))


@pytest.fixture(params=("folder", "s3"))
def lance_address(request: pytest.FixtureRequest) -> str:
    """The same, where LanceDB is the engine."""
    return str(request.getfixturevalue(f"{request.param}_address"))


@pytest.fixture
def folder_address(tmp_path: Path) -> str:
    return str(tmp_path / "library")


@pytest.fixture
def apart_address(folder_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder that another process holds, as for a server that is forked."""
    monkeypatch.setenv(ZERO_GPU_VARIABLE, "true")
    return folder_address


@pytest.fixture
def s3_address(s3_server: None) -> str:
    bucket = f"films-{uuid4()}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/library"


@pytest.fixture(scope="session")
def s3_server() -> Iterator[None]:
    """A double of Amazon S3 on loopback, told of by the environment.

    Its conditional put looks and writes in two steps; they are made one here, as they are at Amazon's.
    """
    one_at_a_time = threading.Lock()
    put_object = S3Response.put_object

    def put_object_atomically(self: S3Response) -> object:
        with one_at_a_time:
            return put_object(self)

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", put_object_atomically)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_REGION", "us-east-1")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield
        server.stop()


@pytest.fixture
def milvus_address(milvus_server: str) -> Iterator[str]:
    """A prefix of its own on the server; what a test made there is dropped after it."""
    address = f"milvus://{milvus_server}/t{uuid4().hex}"
    yield address
    client = connect(address)
    for name in client.list_collections():
        if name.startswith(prefix_of(address)):
            client.drop_collection(name)


@pytest.fixture(scope="session")
def milvus_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``host:port`` of a real Milvus on loopback, started once a session with its data in a folder that is deleted."""
    folder = tmp_path_factory.mktemp("milvus")
    with running_milvus(folder) as server:
        yield server


@pytest.fixture(scope="session")
def crew(s3_server: None) -> Iterator[list[Writer]]:
    """The processes that `writers` has started so far; they know the double's environment."""
    running: list[Writer] = []
    yield running
    for writer in filter(Writer.alive, running):
        writer.kill()


@pytest.fixture
def writers(crew: list[Writer]) -> list[Writer]:
    """Three other processes; those that an earlier test killed are replaced."""
    crew[:] = filter(Writer.alive, crew)
    crew.extend(Writer() for _ in range(3 - len(crew)))
    return crew
