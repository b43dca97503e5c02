"""A real S3 server that checks signatures: SeaweedFS, on loopback, ended by its process id."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import obstore
from obstore.store import S3Store

from tests.child_process import end_with_parent
from tests.machines.servers import free_port
from tests.waiting import stand_still

KEY_ID: Final = "AKFRAMERELAYTESTS"
READER_ID: Final = "AKREADER"
KEY: Final = "only-for-tests-of-object-storage"
BUCKET: Final = "films"
UP_WITHIN_S: Final = 90.0
STARTS_MAX: Final = 3
PARTS: Final = ("master", "volume", "filer", "s3")


def program() -> Path | None:
    """The binary that `make test-machines` fetches; None where nobody did."""
    place = Path(sys.prefix) / "machines" / "bin" / "weed"
    return place if place.exists() else None


class Ended(Exception):
    """It ended while it was starting; its last words."""


@dataclass(slots=True, kw_only=True)
class ObjectStorage:
    """One server; `stop` and `start` take it away for a while, and what it holds stays."""

    folder: Path
    ports: dict[str, int]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def endpoint(self) -> str:
        """What FRAMERELAY_STORE_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.ports['s3']}"

    @property
    def environ(self) -> dict[str, str]:
        """What a process is given to use it, including the credentials."""
        return {"FRAMERELAY_STORE": f"s3://{BUCKET}/studio", "FRAMERELAY_STORE_ENDPOINT": self.endpoint, **CREDENTIALS}

    def client(self, *, prefix: str | None = None, key: str = KEY) -> S3Store:
        """A client of our own, to look into the bucket."""
        return S3Store(
            BUCKET,
            prefix=prefix,
            config={
                "endpoint": self.endpoint,
                "access_key_id": KEY_ID,
                "secret_access_key": key,
                "region": "us-east-1",
                "virtual_hosted_style_request": False,
            },
            client_options={"allow_http": True, "connect_timeout": "2s", "timeout": "10s"},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=1)},
        )

    def start(self) -> None:
        """Start it, unless it runs, and wait until it takes a write. In the main thread: see `end_with_parent`."""
        if self.process is None:
            self.launch()
            self.wait_for_write()

    def launch(self) -> None:
        """Start it in the main thread, and wait for nothing."""
        server_program = str(program())
        identities = [
            _identity("tests", KEY_ID, "Admin", "Read", "Write", "List", "Tagging"),
            _identity("reader", READER_ID, "Read", "List"),
        ]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}), encoding="utf-8")
        ports = [f"-{part}.port={self.ports[part]}" for part in PARTS]
        grpc = [f"-{part}.port.grpc={self.ports[f'{part}.grpc']}" for part in PARTS]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    server_program,
                    "server",
                    f"-dir={self.folder}",
                    "-ip=127.0.0.1",
                    "-ip.bind=127.0.0.1",
                    *ports,
                    *grpc,
                    "-master.volumeSizeLimitMB=64",
                    "-master.telemetry=false",
                    # Alone, it has nobody to wait for: by itself a start after the first takes ten seconds more.
                    "-master.electionTimeout=1s",
                    "-volume.max=20",
                    "-filer",
                    "-s3",
                    # By themselves these two are the same for every server on this machine, and the second one ends.
                    "-s3.port.iceberg=0",
                    "-s3.port.lance=0",
                    f"-s3.config={self.folder / 's3.json'}",
                ],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that have a relay keep its files here."""
        return {"store": f"s3://{BUCKET}/studio", "store_endpoint": self.endpoint}

    def names(self) -> set[str]:
        """What a relay with these settings keeps here."""
        return {each["path"] for each in obstore.list(self.client(prefix="studio")).collect()}

    def stop(self) -> None:
        """As a machine whose power is cut: no connection ends in order."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def stand_still(self) -> None:
        """As a machine that swaps: its connections stay open, and nothing is answered until `go_on`."""
        assert self.process is not None
        stand_still(self.process)

    def go_on(self) -> None:
        """After `stand_still`; a second call changes nothing."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)

    def wait_for_write(self) -> None:
        """Until it takes one. Raises: Ended, with its last words; TimeoutError."""
        give_up_at = time.monotonic() + UP_WITHIN_S
        while True:
            try:
                self._make_bucket()
                obstore.put(self.client(), "probe", b"1")
                obstore.delete(self.client(), "probe")
                return
            except Exception as error:
                has_ended = self.process is not None and self.process.poll() is not None
                if has_ended or time.monotonic() > give_up_at:
                    last = (self.folder / "log").read_text(encoding="utf-8", errors="replace")[-2000:]
                    raise (Ended if has_ended else TimeoutError)(last) from error
                time.sleep(0.05)

    def _make_bucket(self) -> None:
        """By the signed request that makes one: an empty name in the bucket's own address."""
        service = S3Store(
            BUCKET,
            config={
                "endpoint": self.endpoint,
                "access_key_id": KEY_ID,
                "secret_access_key": KEY,
                "region": "us-east-1",
                "virtual_hosted_style_request": False,
            },
            client_options={"allow_http": True},
        )
        request = urllib.request.Request(obstore.sign(service, "PUT", "", timedelta(seconds=60)), method="PUT")
        try:
            with urllib.request.urlopen(request, timeout=60):
                pass
        except urllib.error.HTTPError as error:
            if error.code != 409:  # It is there already.
                raise


def _identity(name: str, key_id: str, *actions: str) -> dict[str, object]:
    return {"name": name, "credentials": [{"accessKey": key_id, "secretKey": KEY}], "actions": list(actions)}


CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_REGION": "us-east-1"}


@contextmanager
def object_storage(folder: Path) -> Iterator[ObjectStorage]:
    """One that runs as long as the block."""
    folder.mkdir(parents=True, exist_ok=True)
    storage = ObjectStorage(folder=folder, ports=_some_ports())
    try:
        _start(storage)
        yield storage
    finally:
        storage.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _start(storage: ObjectStorage) -> None:
    """It takes seconds until it has its ports; a connection made in that time may have taken one of them."""
    for _ in range(STARTS_MAX - 1):
        try:
            return storage.start()
        except Ended:
            storage.stop()
            storage.ports = _some_ports()
    return storage.start()


def _some_ports() -> dict[str, int]:
    names = [*PARTS, *(f"{part}.grpc" for part in PARTS)]
    return {name: free_port() for name in names}
