"""A storage that speaks as S3 does, as a process of its own, and a door before it that breaks."""

import contextlib
import functools
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

import boto3
import urllib3
from botocore.config import Config

from ciserver.config import Storage as Settings
from ciserver.store.s3 import Bucket
from support.server import free_port
from support.waiting import until

_NUMBERS = itertools.count(1)
_REFUSAL = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>{said}</Message></Error>'


class Made(Bucket):
    """A new bucket."""

    def as_settings(self) -> Settings:
        return Settings(
            s3_bucket=self.name,
            s3_endpoint=self.endpoint,
            s3_prefix=self.prefix,
            s3_access_key=self.access_key,
            s3_secret_key=self.secret_key,
        )

    def as_toml(self) -> str:
        """The section of a configuration."""
        given = vars(self.as_settings())
        lines = (f"{key} = {json.dumps(one)}" for key, one in given.items() if one)
        return "\n".join(("[storage]", *lines, ""))


class Storage:
    """With `checks_keys` it makes one user with a key, and from then on refuses all others."""

    def __init__(self, log: Path, *, checks_keys: bool = False) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.access_key, self.secret_key = "testing", "secret-of-a-test"
        count = "4" if checks_keys else "inf"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                stdout=out,
                stderr=out,
                env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": count},
            )
        try:
            until(self._answers, seconds=60, what=f"a storage at {self.url}; see {log}")
            if checks_keys:
                self._make_user()
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return urllib3.request("GET", f"{self.url}/moto-api/data.json", retries=False).status
        return False

    def _make_user(self) -> None:
        iam = self.client("iam")
        iam.create_user(UserName="ciserver")
        key = iam.create_access_key(UserName="ciserver")["AccessKey"]
        allowed = [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
        iam.put_user_policy(
            UserName="ciserver",
            PolicyName="all",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed}),
        )
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]

    def stop(self) -> None:
        self._process.kill()
        self._process.wait(10)

    @functools.cache  # making one takes its time  # noqa: B019
    def client(self, kind="s3"):
        return boto3.session.Session(
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name="us-east-1",
        ).client(kind, endpoint_url=self.url, config=Config(s3={"addressing_style": "path"}))

    def make_bucket(self, *, endpoint="") -> "Made":
        name = f"ciserver-{os.getpid()}-{next(_NUMBERS)}"
        self.client().create_bucket(Bucket=name)
        return Made(
            name,
            endpoint=endpoint or self.url,
            prefix="of/tests",
            access_key=self.access_key,
            secret_key=self.secret_key,
        )

    def keys(self, bucket: Bucket) -> list[str]:
        found = self.client().list_objects_v2(Bucket=bucket.name).get("Contents", ())
        return sorted(one["Key"] for one in found)


class Door:
    """Hands bytes on to a port of this machine until it is told otherwise: `shut` refuses all that
    comes; `cut_after` ends one connection after so many bytes of answers; `refuse` answers that
    many requests itself.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self.is_shut = False
        self.cut_after = 0
        self.connections = 0
        self._refusals: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def refuse(self, status: str, code: str, said: str = "", times: int = 1) -> None:
        body = _REFUSAL.format(code=code, said=said).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        answer = head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
        self._refusals += [answer] * times

    def shut(self) -> None:
        self.is_shut = True
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        self.is_shut = False

    def close(self) -> None:
        self.shut()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, contextlib.suppress(OSError):
            if self.is_shut:
                return
            self._open.append(near)
            if self._refusals:
                near.settimeout(10)
                near.recv(1 << 20)
                near.sendall(self._refusals.pop(0))
                return
            with socket.create_connection(("127.0.0.1", self._target)) as far:
                self._hand_on(near, far)

    def _hand_on(self, near: socket.socket, far: socket.socket) -> None:
        answered = 0
        while True:
            ready, _, _ = select.select([near, far], [], [], 30)
            for one in ready:
                content = one.recv(1 << 16)
                if not content:
                    return
                if one is near:
                    if self._refusals:  # on a connection that was kept open
                        near.sendall(self._refusals.pop(0))
                        return
                    far.sendall(content)
                    continue
                answered += len(content)
                if self.cut_after and answered > self.cut_after:
                    near.sendall(content[: max(0, len(content) - answered + self.cut_after)])
                    self.cut_after = 0
                    return
                near.sendall(content)
            if not ready:
                return
