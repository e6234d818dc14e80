"""A server that is killed while files go to the bucket loses none that it said it has."""

import random
import subprocess
import sys
import time

import pytest

from ciserver.store.files import Files
from ciserver.store.s3 import S3Objects

pytestmark = pytest.mark.slow
KILLS = 8
CHILD = """
import io, sys
from pathlib import Path
from ciserver.store.files import Files
from ciserver.store.s3 import Bucket, S3Objects
name, endpoint, access, secret = sys.argv[2:6]
files = Files(Path(sys.argv[1]), S3Objects(Bucket(name, endpoint, "", "of/tests", access, secret)))
print("ready", flush=True)
for number in range(int(sys.argv[6]), 1_000_000):
    sha256, _ = files.keep_product(io.BytesIO(b"content %d " % number * 30_000))
    print("product", sha256, number, flush=True)
    files.write_log(number, 1, 0, 0, b"line\\n" * 30_000)
    files.pack_log(number, 1, 0)
    print("log", number, flush=True)
"""


def test_killed_at_any_point(s3, tmp_path):
    bucket, chance, said, first = s3.make_bucket(), random.Random(5), [], 0
    given = (bucket.name, bucket.endpoint, bucket.access_key, bucket.secret_key)
    for _ in range(KILLS):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), *given, str(first)],
            stdout=subprocess.PIPE,
        )
        with child:
            assert child.stdout.readline() == b"ready\n"
            time.sleep(chance.uniform(0, 0.8))  # the moment of the fault
            child.kill()
            said += child.stdout.read().decode().splitlines()
        first += 1000
    files = Files(tmp_path, S3Objects(bucket))
    assert len(said) > KILLS
    assert_there(files, said)
    files.spooled().move(lambda _: None)
    files.remove_spool(young_seconds=-1)
    assert_there(files, said)
    left = [one for one in tmp_path.rglob("*") if one.is_file() and one.parent.name != "locks"]
    assert [one for one in left if one.suffix != ".log"] == [], "nothing stays on the way"


def assert_there(files, said):
    for one in said:
        kind, what, *number = one.split()
        if kind == "product":
            with files.open_product(what) as file:
                assert file.read() == b"content %s " % number[0].encode() * 30_000
        else:
            with files.open_log(int(what), 1, 0) as file:
                assert file.read() == b"line\n" * 30_000
