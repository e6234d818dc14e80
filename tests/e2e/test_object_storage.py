"""A server whose finished logs and products go to a bucket, which comes and goes."""

import subprocess
import sys

import pytest
from support.s3 import Door

pytestmark = pytest.mark.e2e

RECIPE = """\
image: host
tasks:
  - work: |
      seq 300000 | tee numbers.txt
      mkdir report && cp numbers.txt report && tar -cf report.tar report
artifacts: [numbers.txt, report.tar]
"""
NUMBERS = b"".join(b"%d\n" % number for number in range(1, 300_001))


@pytest.fixture
def door(s3):
    made = Door(s3.port)
    yield made
    made.close()


@pytest.mark.timeout(300)  # many commands, one after the other
def test_from_the_push_to_the_bucket_and_back(make_server, watch, s3, door):
    """Log and product are read as ever; a build fails for nothing while the storage is away."""
    bucket = s3.make_bucket(endpoint=door.url)
    server = make_server(config=bucket.as_toml()).start()
    repository = watch(server)
    repository.commit({".build.yml": RECIPE})
    repository.push()
    (build,) = server.until_built(seconds=120)
    assert build["status"] == "succeeded"
    assert len([one for one in s3.keys(bucket) if "/products/" in one]) == 2
    assert not [one for one in (server.data / "products").rglob("*") if one.is_file()]
    address = f"/build/{build['id']}/download/1/numbers.txt"
    assert server.request("GET", address).data == NUMBERS
    part = server.request("GET", address, headers={"Range": "bytes=1000000-1000099"})
    assert (part.status, part.data) == (206, NUMBERS[1_000_000:][:100])
    contents = server.request("GET", f"/build/{build['id']}/contents/2")
    assert b"report/numbers.txt" in contents.data

    door.shut()
    away = server.request("GET", address, headers={"Accept": "application/json"})
    assert (away.status, away.headers["retry-after"]) == (503, "2")
    assert f"{door.url}/{bucket.name}/of/tests does not answer" in away.data.decode()
    repository.commit({"again": "1"})
    repository.push()
    second, _ = server.until_built(2, seconds=120)
    assert second["status"] == "succeeded"
    mine = f"/build/{second['id']}/download/1/numbers.txt"
    assert server.request("GET", mine).data == NUMBERS
    metrics = server.request("GET", "/metrics").data.decode()
    assert "ciserver_storage_away 1\n" in metrics
    assert server.request("GET", "/readyz").status == 200
    doctor = server.cli("doctor", check=False)
    assert sum("does not answer" in one for one in doctor.stdout.splitlines()) == 1
    assert "see that it runs and can be reached from here" in doctor.stdout
    assert bucket.secret_key not in doctor.stdout + server.log.read_text()

    door.open()
    assert server.stop() == 0
    moved = server.cli("storage", "move", "bucket").stdout
    assert "and compared them" in moved
    doctor = server.cli("doctor", check=False).stdout
    assert "the object storage answers, and no file waits for it" in doctor
    assert "every product has its file" in doctor
    assert "every log that is kept has its files" in doctor
    back = server.cli("storage", "move", "directory").stdout
    assert "take storage.s3_bucket" in back
    (server.data / "ciserver.toml").write_text("")
    server.start()
    assert server.request("GET", address).data == NUMBERS
    assert NUMBERS in server.request("GET", f"/build/{build['id']}/log/work").data


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "not-this-one"}, "NoSuchBucket"),
        ({"secret_key": "not-this-secret"}, "SignatureDoesNotMatch"),
    ],
)
def test_a_start_with_what_cannot_work(place, s3_with_keys, change, said):
    """Is refused, with what to mend and without the secret."""
    bucket = s3_with_keys.make_bucket()
    wrong = type(bucket)(**{**vars(bucket), **change})
    data = place / "data"
    data.mkdir()
    (data / "ciserver.toml").write_text(wrong.as_toml())
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "ciserver.cli.main",
            "serve",
            "--data",
            data,
            "--listen",
            "127.0.0.1:0",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert "mend" in done.stderr
    assert wrong.secret_key not in done.stdout + done.stderr


def test_a_move_without_a_bucket(make_server):
    """Is refused, with what to set."""
    refused = make_server().cli("storage", "move", "bucket", check=False)
    assert refused.returncode == 2
    assert "set storage.s3_bucket" in refused.stderr
