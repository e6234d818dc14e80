"""Files in which a build tells of its tests are found, whatever the build made of them."""

import pytest

from ciserver.executor.finding import Finder
from ciserver.executor.lease import StopReason
from ciserver.model.build import Reports
from ciserver.model.status import BuildStatus, Reason

GOOD = '<testsuite><testcase name="a"/></testsuite>'
BAD = '<testsuite><testcase name="b"><failure message="no"/></testcase></testsuite>'


def write(content, path):
    return f"mkdir -p $(dirname {path}); echo '{content}' >{path}; "


def test_reports_are_handed_in_also_after_a_failure(world):
    """By kind and path, with a line for each kind in the log of the last task."""
    script = (
        "set +x; "
        + write(GOOD, "hello/out/one.xml")
        + write(BAD, "hello/out/deep/two.xml")
        + write("ok 1", "t.tap")
        + write("DA:1,1", "cover.info")
        + 'echo "size 12 kB" >>$CISERVER_METRICS; exit 3'
    )
    wanted = Reports(junit=("hello/out/**/*.xml",), tap=("*.tap",), coverage=("cover.info",))
    result = world.run(script, reports=wanted)
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.EXIT_CODE)
    assert {key: text.decode().strip() for key, text in world.recorder.reports.items()} == {
        ("junit", "hello/out/deep/two.xml"): BAD,
        ("junit", "hello/out/one.xml"): GOOD,
        ("tap", "t.tap"): "ok 1",
        ("coverage", "cover.info"): "DA:1,1",
        ("metrics", ".metrics"): "size 12 kB",
    }
    assert world.recorder.log(1).endswith(
        "reports: junit: 2 files, 2 tests, 1 failed\n"
        "reports: tap: 1 file, 1 tests, 0 failed\n"
        "reports: coverage: 1 file, 100.0 % of 1 lines\n"
        "reports: metrics: 1 file, 1 metrics\n"
    )


def test_what_cannot_be_read_is_a_line_and_no_failure(world):
    """A broken file, one that is too large, and a glob that names nothing."""
    script = "echo '<html>' >broken.xml; head -c 10000001 /dev/zero >large.tap"
    wanted = Reports(junit=("broken.xml",), tap=("large.tap",), coverage=("gone/*",))
    assert world.run(script, reports=wanted).status is BuildStatus.SUCCEEDED
    log = world.recorder.log(1)
    assert "reports: broken.xml: it is not of JUnit: it begins with 'html'\n" in log
    assert "reports: large.tap: it is larger than 10 MB\n" in log
    assert "reports: coverage: no file is named by gone/*\n" in log
    assert ("tap", "large.tap") not in world.recorder.reports


def test_nothing_outside_of_the_home_is_read(world, place):
    """Links and pipes are no reports, at any place of the path."""
    (place / "outside").mkdir()
    (place / "outside" / "a.xml").write_text(GOOD)
    outside = place / "outside"
    script = f"ln -s {outside} jump; ln -s {outside}/a.xml a.xml; mkfifo b.xml; ln -s . loop"
    wanted = Reports(junit=("**/*.xml", "jump/a.xml", "jump"))
    assert world.run(script, reports=wanted).status is BuildStatus.SUCCEEDED
    assert world.recorder.reports == {}


def test_secrets_do_not_leave_in_reports(world):
    """What logs hide is hidden in the message of a test too."""
    world.run(
        write(BAD.replace("no", "correct horse"), "a.xml"),
        reports=Reports(junit=("a.xml",)),
        secrets=("correct horse",),
    )
    (text,) = world.recorder.reports.values()
    assert b'message="***"' in text


def test_names_need_not_be_text(world):
    """A file may have any bytes as its name."""
    script = "set +x; echo 'ok 1' >\"$(printf 'a\\377.tap')\""
    world.run(script, reports=Reports(tap=("*.tap",)))
    assert list(world.recorder.reports) == [("tap", "a\ufffd.tap")]


@pytest.mark.parametrize("reason", [StopReason.CANCELED, StopReason.DRAINING])
def test_a_stopped_build_hands_in_nothing(world, reason):
    """Neither a canceled one nor one that is given back."""
    script = "set +x; echo 'ok 1' >a.tap; echo ready; sleep 60"
    build = world.begin(script, reports=Reports(tap=("a.tap",)))
    world.recorder.wait_for_log(1, "ready")
    world.stop.set(reason)
    build.join()
    assert world.recorder.reports == {}


def test_only_where_a_glob_leads_is_looked(tmp_path):
    """A deep tree beside the path of a glob costs nothing, and one that loops ends."""
    (tmp_path / "wanted").mkdir()
    (tmp_path / "wanted" / "x.xml").touch()
    deep = tmp_path.joinpath(*"d" * 100)
    deep.mkdir(parents=True)
    (deep / "x.xml").touch()
    assert [path for path, _ in Finder(tmp_path, ("wanted",)).files()] == ["wanted/x.xml"]
    assert [path for path, _ in Finder(tmp_path, ("wanted/",)).files()] == ["wanted/x.xml"]
    assert [path for path, _ in Finder(tmp_path, ("**/x.xml",)).files()] == ["wanted/x.xml"]
