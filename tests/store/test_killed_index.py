"""A process that is killed while it makes an index: the moment is chosen by the double of S3, which sees every write.

The double stands in the test's own process. It kills the writer when the write arrives that is to be its last, and
does not carry that write out, so what is left is the state of exactly that moment, at every run.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import lancedb
import numpy as np
import pytest
from moto.s3.responses import S3Response

from core.store import Library, open_library
from core.store import lance as lance_engine
from core.store.address import storage_options
from core.store.lance_rows import table_name
from tests.store.makers import ENCODER, direction, record
from tests.store.oracle import nearest, told
from tests.store.writer import Writer

FILMS = [record(number) for number in range(600)]


@contextmanager
def killing(writer: Writer, folder: str, first: str) -> Iterator[list[str]]:
    """Kill the writer at its first write into ``folder`` after one into ``first``; yields what it wrote before."""
    written: list[str] = []
    put_object = S3Response.put_object

    def put_or_kill(self: S3Response) -> object:
        if folder in self.path and any(first in path for path in [*written, self.path]):
            os.kill(writer.process.pid, signal.SIGKILL)
            return 500, {}, ""
        written.append(self.path)
        return put_object(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(S3Response, "put_object", put_or_kill)
        yield written


def indexes(library: Library) -> list[int | None]:
    """The number of rows that each index of the table knows."""
    table = lancedb.connect(library.address, storage_options=storage_options(library.address)).open_table(
        table_name("videos", ENCODER)
    )
    return [index.num_indexed_rows for index in table.list_indices()]


@pytest.mark.parametrize("long_vectors", [False, True], ids=["exact index", "approximate index"])
@pytest.mark.parametrize("folder", ["/_indices/", "/_versions/"], ids=["before its files", "before it is made known"])
def test_a_process_killed_while_making_an_index_loses_no_row_and_leaves_no_half_an_index(
    s3_address: str, writers: list[Writer], folder: str, long_vectors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_library(s3_address, "videos", ENCODER).add(FILMS)
    with killing(writers[0], folder, "/_indices/") as written:
        writers[0].tell("index", s3_address, int(long_vectors))
        assert writers[0].process.wait(300) == -signal.SIGKILL
    assert any("/_indices/" in path for path in written) == (folder == "/_versions/")
    again = open_library(s3_address, "videos", ENCODER, create=False)
    assert indexes(again) == [] and again.ids() == {film.id for film in FILMS}
    assert told(again.find(direction(5), 5)) == nearest(FILMS, direction(5), 5)

    monkeypatch.setattr(lance_engine, "MANY_UNINDEXED", 400)
    assert again.add([record(600)]) == 1
    assert indexes(again) == [601]
    assert told(again.find(direction(600), 5)) == nearest([*FILMS, record(600)], direction(600), 5)
    assert np.isclose(again.find(direction(600), 1)[0].similarity, 1)
