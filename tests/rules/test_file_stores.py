"""One contract for both stores of attachments: a folder, and a bucket on a real S3 server."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stores import BUCKET, S3Server

from gateways.files_local import LocalFiles
from gateways.files_s3 import Bucket, S3Files
from models.outside import FileStore, WrongStore

pytestmark = pytest.mark.plain

HERE = Path(__file__).resolve().parents[2]
MEGABYTE = 1024 * 1024
LONG_AGO, SOON = timedelta(days=-1), timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.stop()


def in_bucket(server: S3Server, waiting: Path, *, name: str = BUCKET, prefix: str = "", timeout: int = 5) -> S3Files:
    return S3Files(Bucket(name, "us-east-1", server.address, prefix, "key", "secret", timeout), waiting)


@pytest.fixture(params=["local", "s3", "s3 with a prefix"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    if request.param == "local":
        return LocalFiles(tmp_path / "files")
    server: S3Server = request.getfixturevalue("server")
    server.empty()
    return in_bucket(server, tmp_path, prefix="portal/files" if "prefix" in request.param else "")


def pieces(count: int, size: int = 64 * 1024) -> Iterator[bytes]:
    return (bytes([n % 251]) * size for n in range(count))


def names(files: FileStore, age: timedelta = SOON) -> list[str]:
    return sorted(files.older(datetime.now(UTC) + age))


def test_what_is_put_comes_back_under_the_hash_of_its_content(files: FileStore) -> None:
    assert files.put([b"one", b"", b" two"]) == (hashlib.sha256(b"one two").hexdigest(), 7)
    name = hashlib.sha256(b"one two").hexdigest()
    assert b"".join(files.get(name)) == b"one two"
    assert files.has(name)
    assert names(files) == [name]


def test_equal_files_are_kept_once_and_a_second_one_is_new(files: FileStore) -> None:
    first, _ = files.put([b"same"])
    before = datetime.now(UTC)
    time.sleep(1.1)  # S3 tells the time in whole seconds
    assert files.put([b"sa", b"me"])[0] == first
    assert names(files) == [first]
    assert list(files.older(before)) == []


def test_a_file_of_many_parts_comes_back_whole_and_in_pieces(files: FileStore) -> None:
    name, size = files.put(pieces(25 * 16 + 3))
    assert size == (25 * 16 + 3) * 64 * 1024
    hasher, longest = hashlib.sha256(), 0
    for piece in files.get(name):
        hasher.update(piece)
        longest = max(longest, len(piece))
    assert hasher.hexdigest() == name
    assert longest <= 2 * MEGABYTE


def test_what_is_gone_is_said_at_once(files: FileStore) -> None:
    for missing in ("0" * 64, "../secret", "incoming.0123456789abcdef", ""):
        with pytest.raises(FileNotFoundError):
            files.get(missing)
        assert not files.has(missing)


def test_dropped_is_gone_and_twice_is_no_error(files: FileStore) -> None:
    name, other = files.put([b"one"])[0], files.put([b"two"])[0]
    files.drop(name)
    files.drop(name)
    assert not files.has(name)
    assert names(files) == [other]


def test_only_what_is_older_is_listed(files: FileStore) -> None:
    assert names(files) == []
    kept = sorted(files.put([b"%d" % n])[0] for n in range(12))
    assert names(files) == kept
    assert names(files, LONG_AGO) == []


def test_a_sender_who_breaks_off_leaves_nothing(files: FileStore) -> None:
    def breaking() -> Iterator[bytes]:
        yield b"x" * MEGABYTE
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        files.put(breaking())
    assert names(files) == []


def test_both_are_ready(files: FileStore) -> None:
    files.ready()
    assert names(files) == []


def test_many_put_the_same_and_others_at_once(files: FileStore) -> None:
    got: list[tuple[str, int]] = []
    threads = [threading.Thread(target=lambda n=n: got.append(files.put([b"x" * (n % 3)]))) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(set(got)) == sorted((hashlib.sha256(b"x" * n).hexdigest(), n) for n in range(3))
    assert len(got) == 12


WRITER = """
import sys
from pathlib import Path
from gateways.files_local import LocalFiles
def slow():
    yield b"x" * 1_000_000
    print("writing", flush=True)
    sys.stdin.readline()
    yield b"y"
LocalFiles(Path(sys.argv[1])).put(slow())
"""


def test_a_writer_that_is_killed_leaves_no_file_under_a_final_name_and_its_rest_is_swept(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder)], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        writer.send_signal(signal.SIGKILL)
    files = LocalFiles(folder)
    (rest,) = names(files)
    assert rest.startswith("incoming.")
    assert [path.name for path in folder.rglob("*")] == [rest]
    assert names(files, LONG_AGO) == [], "somebody may be writing it"
    files.drop(rest)
    assert list(folder.iterdir()) == []


def test_the_name_is_on_the_disk_before_put_returns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, replace = os.fsync, Path.replace

    def noted_sync(handle: int) -> None:
        done.append("folder" if Path(f"/proc/self/fd/{handle}").resolve().is_dir() else "file")
        sync(handle)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("name")
        return replace(self, target)

    files = LocalFiles(tmp_path / "files")
    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    files.put([b"one"])
    assert done == ["folder", "file", "folder", "name", "folder"]


def test_a_disk_that_is_full_leaves_no_file_behind(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            LocalFiles(folder).put(pieces(32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(folder.iterdir()) == []


READER = """
import sys, resource
from pathlib import Path
from gateways.files_local import LocalFiles
from gateways.files_s3 import Bucket, S3Files
def now():
    fields = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(fields["VmRSS"].split()[0])
kind, address, folder, small, large = sys.argv[1:]
bucket = Bucket("attachments", "us-east-1", address, "", "key", "secret", 10)
files = S3Files(bucket, Path(folder)) if kind == "s3" else LocalFiles(Path(folder))
for _ in range(3):
    sum(map(len, files.get(small)))
before = most = now()
total = 0
for piece in files.get(large):
    total += len(piece)
    most = max(most, now())
print(total, most - before)
"""


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_reading_25_megabytes_takes_less_than_2_of_memory(kind: str, server: S3Server, tmp_path: Path) -> None:
    server.empty()
    files = in_bucket(server, tmp_path) if kind == "s3" else LocalFiles(tmp_path)
    # What any download takes once, for connections and buffers, is taken by one of eight megabytes.
    small, large = files.put(pieces(8 * 16))[0], files.put(pieces(25 * 16))[0]
    command = [sys.executable, "-c", READER, kind, server.address, str(tmp_path), small, large]
    total, grown = subprocess.check_output(command, cwd=HERE, text=True).split()
    assert int(total) == 25 * MEGABYTE
    assert int(grown) <= 2 * 1024, f"{grown} kB more"


def test_a_bucket_that_is_not_there_or_a_server_that_is_away_is_no_missing_file(
    server: S3Server, tmp_path: Path
) -> None:
    wrong = in_bucket(server, tmp_path, name="no-such-bucket")
    for ask in (wrong.ready, lambda: wrong.get("0" * 64), lambda: wrong.put([b"x"]), lambda: names(wrong)):
        with pytest.raises(WrongStore, match="no bucket no-such-bucket") as refusal:
            ask()
        assert refusal.value.setting == "S3_BUCKET"
    away = S3Files(Bucket(BUCKET, "us-east-1", "http://127.0.0.1:9", "", "key", "secret", 2), tmp_path)
    before = time.monotonic()
    for ask in (away.ready, lambda: away.get("0" * 64), lambda: away.has("0" * 64), lambda: away.put([b"x"])):
        with pytest.raises(OSError, match="The bucket could not") as trouble:
            ask()
        assert not isinstance(trouble.value, FileNotFoundError)
        assert len(str(trouble.value)) < 400
        assert "secret" not in str(trouble.value)
    assert time.monotonic() - before < 4 * 4
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_says_nothing_is_not_waited_for_long(server: S3Server, tmp_path: Path) -> None:
    files = in_bucket(server, tmp_path, timeout=1)
    name, _ = files.put([b"one"])
    server.freeze()
    try:
        for ask in (files.ready, lambda: files.put([b"two"]), lambda: files.get(name)):
            before = time.monotonic()
            with pytest.raises(OSError, match="The bucket could not"):
                ask()
            assert time.monotonic() - before < 5
    finally:
        server.thaw()
    assert b"".join(files.get(name)) == b"one"


def test_a_slow_reader_is_not_cut_off(server: S3Server, tmp_path: Path) -> None:
    files = in_bucket(server, tmp_path, timeout=1)
    name, size = files.put(pieces(16 * 16))
    total = 0
    for number, piece in enumerate(files.get(name)):
        total += len(piece)
        if number == 2:
            time.sleep(2.5)
    assert total == size


def test_what_else_is_in_the_bucket_is_let_be(server: S3Server, tmp_path: Path) -> None:
    server.empty()
    plain, inside = in_bucket(server, tmp_path), in_bucket(server, tmp_path, prefix="portal")
    mine, other = inside.put([b"mine"])[0], plain.put([b"other"])[0]
    assert names(inside) == [mine]
    assert names(plain) == [other]
    assert f"<Key>portal/{mine[:2]}/{mine}</Key>" in server.names(), "as in the folder"
