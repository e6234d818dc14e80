"""Finished files in a bucket of S3, or of a storage that speaks as S3 does."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import field
from pathlib import Path
from typing import IO, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from ciserver.model.errors import StorageAway
from ciserver.model.frozen import frozen
from ciserver.store.objects import Kept

_MISSING = {"404", "NoSuchKey"}
_NOT_SATISFIABLE = "InvalidRange"
_LEAST, _MOST = 64 * 1024, 4 * 1024 * 1024  # of one request that reads
_PART = 16 * 1024 * 1024  # of an upload; 10,000 of them make a file
_TRIES = 3
AWAY_SECONDS = 15.0
# What no waiting mends.
_FAULTS = {
    "NoSuchBucket": "there is no such bucket; make it, or mend storage.s3_bucket",
    "InvalidAccessKeyId": "the access key is not known there; mend the credentials",
    "SignatureDoesNotMatch": "the secret key is wrong; mend the credentials",
    "AccessDenied": "the credentials may not list and read the bucket; give them these rights",
    "PermanentRedirect": "the bucket is in another region; mend storage.s3_region",
    "AuthorizationHeaderMalformed": "the bucket is in another region; mend storage.s3_region",
    "RequestTimeTooSkewed": "the clock of this machine is wrong; set it",
}
_NO_CREDENTIALS = (
    "set storage.s3_access_key and what belongs to it, or AWS_ACCESS_KEY_ID and"
    " AWS_SECRET_ACCESS_KEY in the environment"
)


@frozen
class Bucket:
    """Where a bucket is and what opens it. Without an endpoint it is one of AWS, and without keys
    they are looked for where programs for AWS look.
    """

    name: str
    endpoint: str = ""
    region: str = ""
    prefix: str = ""
    access_key: str = field(default="", repr=False)
    secret_key: str = field(default="", repr=False)

    @property
    def place(self) -> str:
        return f"{self.endpoint or 's3:/'}/{self.name}/{self.prefix}".rstrip("/")


class S3Objects:
    """Keys lie beneath the prefix of the bucket. After it did not answer, it is not asked for some
    seconds: the threads of the server have better to do than to wait. `clock` is monotonic.
    """

    def __init__(self, bucket: Bucket, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = bucket
        self._clock = clock
        self._away_until = float("-inf")
        self.fault = ""
        self._prefix = f"{bucket.prefix.strip('/')}/" if bucket.prefix.strip("/") else ""
        self._client: Any = boto3.session.Session(
            aws_access_key_id=bucket.access_key or None,
            aws_secret_access_key=bucket.secret_key or None,
        ).client(
            "s3",
            endpoint_url=bucket.endpoint or None,
            region_name=bucket.region or ("us-east-1" if bucket.endpoint else None),
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                max_pool_connections=32,
                retries={"mode": "standard", "max_attempts": _TRIES},
                # Each request is signed with the SHA-256 of what it carries, and refused where
                # something else arrives. Other checksums are not known everywhere.
                s3={
                    "payload_signing_enabled": True,
                    "addressing_style": "path" if bucket.endpoint else "auto",
                },
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
        self._transfer = TransferConfig(
            multipart_threshold=_PART, multipart_chunksize=_PART, max_concurrency=4
        )

    def check(self) -> None:
        with self._asked():
            self._call("list_objects_v2", MaxKeys=1, Prefix=self._prefix)

    def take(self, key: str, file: Path) -> None:
        """Raises StorageAway, and then the file is still where it was; FileNotFoundError."""
        size = file.stat().st_size
        name = self._prefix + key
        with self._asked(), file.open("rb") as content:
            if size < _PART:
                self._call("put_object", Key=name, Body=content)
            else:
                self._client.upload_fileobj(content, self._bucket.name, name, Config=self._transfer)
        found = self.find(key)
        if found is None or found.size != size:
            raise StorageAway(f"{key} did not arrive in {self._bucket.place} as it was sent")
        file.unlink(missing_ok=True)

    def open(self, key: str) -> IO[bytes]:
        return io.BufferedReader(_Remote(key, self._read))

    def find(self, key: str) -> Kept | None:
        try:
            with self._asked(key):
                found = self._call("head_object", Key=self._prefix + key)
        except FileNotFoundError:
            self.check()  # of a bucket that is gone it is said that it has no such file
            return None
        return Kept(key, found["ContentLength"], found["LastModified"].timestamp())

    def list(self, folder: str) -> Iterator[Kept]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.name, Prefix=f"{self._prefix}{folder}/"
        )
        with self._asked():
            for page in pages:
                for one in page.get("Contents", ()):
                    key = one["Key"].removeprefix(self._prefix)
                    yield Kept(key, one["Size"], one["LastModified"].timestamp())

    def remove(self, key: str) -> None:
        with self._asked():
            self._call("delete_object", Key=self._prefix + key)

    def remove_old(self, key: str, before: float) -> bool:
        found = self.find(key)
        if found and found.changed_at > before:
            return False
        if found:
            self.remove(key)
        return True

    def _read(self, key: str, start: int, size: int) -> tuple[bytes, int]:
        """Some bytes of a file from `start` on, and how many it has. What breaks off is asked for
        again.
        """
        for left in reversed(range(_TRIES)):
            try:
                with self._asked(key, is_last=not left):
                    return self._read_once(self._prefix + key, f"bytes={start}-{start + size - 1}")
            except StorageAway as error:
                if not left or not isinstance(error.__cause__, BotoCoreError):
                    raise
        raise AssertionError

    def _read_once(self, name: str, span: str) -> tuple[bytes, int]:
        try:
            got = self._call("get_object", Key=name, Range=span)
        except ClientError as error:
            if _code(error) == _NOT_SATISFIABLE:
                return b"", 0  # the file is empty
            raise
        return got["Body"].read(), int(got["ContentRange"].rpartition("/")[2])

    def _call(self, method: str, **arguments: Any) -> Any:
        return getattr(self._client, method)(Bucket=self._bucket.name, **arguments)

    @contextmanager
    def _asked(self, key: str = "", *, is_last: bool = True) -> Iterator[None]:
        """What goes wrong within, in our words; FileNotFoundError for a missing key. Only what was
        tried for the last time counts as being away.
        """
        if self._clock() < self._away_until:
            raise StorageAway(self.fault, hint="it is asked again in some seconds")
        try:
            yield
        except ClientError as error:
            if key and _code(error) in _MISSING:
                raise FileNotFoundError(f"there is no {key} in {self._bucket.place}") from error
            refusal = _refused(self._bucket.place, error)
            self.fault = refusal.message
            raise refusal from error
        except NoCredentialsError as error:
            self.fault = f"there are no credentials for {self._bucket.place}"
            raise StorageAway(self.fault, hint=_NO_CREDENTIALS, is_fault=True) from error
        except BotoCoreError as error:
            why = f"the object storage {self._bucket.place} does not answer: {error}"
            if is_last:
                self._away_until, self.fault = self._clock() + AWAY_SECONDS, why
            raise StorageAway(why, hint="see that it runs and can be reached from here") from error
        self.fault = ""


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _refused(place: str, error: ClientError) -> StorageAway:
    code = _code(error)
    said = error.response.get("Error", {}).get("Message", "")
    return StorageAway(
        f"the object storage {place} refuses: {code} {said}".rstrip(),
        hint=_FAULTS.get(code),
        is_fault=code in _FAULTS,
    )


class _Remote(io.RawIOBase):
    """A file of the bucket. Who reads on gets longer and longer pieces with one request, who jumps
    a short one; the last piece of a file is as long as a short one is.
    """

    def __init__(self, key: str, read: Callable[[str, int, int], tuple[bytes, int]]) -> None:
        self._key = key
        self._read = read
        self._start = self._at = 0
        self._piece, self._size = read(key, 0, _LEAST)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        if not self._start <= self._at < self._start + len(self._piece):
            self._fetch()
        within = self._at - self._start
        content = self._piece[within : within + len(buffer)]
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)

    def _fetch(self) -> None:
        had, behind = len(self._piece), self._at - self._start - len(self._piece)
        length = max(_LEAST, min(2 * had, _MOST) if 0 <= behind <= had else 0)
        start = min(self._at, max(0, self._size - _LEAST))
        self._piece, _ = self._read(self._key, start, length)
        self._start = start
        if not self._piece:
            raise StorageAway(f"{self._key} breaks off in the object storage")
