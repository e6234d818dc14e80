"""What a build may rely on and what the server may rely on, in every sandbox."""

import errno
import os
import socket

import pytest

from ciserver.executor.lease import StopReason
from ciserver.model.build import Source, StepResult
from ciserver.model.errors import NotFound, RemoteFailure
from ciserver.model.status import BuildStatus, Reason, StepStatus

WELL = StepStatus.SUCCEEDED


def test_success_is_told_step_by_step(world):
    """Setup and tasks are told in order, one commit at each boundary, the last with the end."""
    result = world.run("echo one", "echo two")
    assert result.status is BuildStatus.SUCCEEDED
    assert world.recorder.advanced == [
        (StepResult(0, WELL), 1, world.sandbox.name),
        (StepResult(1, WELL, 0), 2, world.sandbox.name),
    ]
    assert world.recorder.steps == (StepResult(2, WELL, 0),)
    assert world.recorder.log(1) == "+ echo one\none\n"
    assert world.recorder.log(2) == "+ echo two\ntwo\n"


def test_a_job_without_tasks_succeeds(world):
    """Setup is the only step then, and its end comes with the end of the build."""
    assert world.run().status is BuildStatus.SUCCEEDED
    assert world.recorder.steps == (StepResult(0, WELL),)


def test_a_failed_command_fails_the_build(world):
    """The first failing command ends its task; later tasks stay pending."""
    result = world.run("(exit 3)\necho not reached", "echo never")
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.EXIT_CODE)
    assert result.detail == "task task1 exited with status 3"
    assert world.recorder.steps == (StepResult(1, StepStatus.FAILED, 3),)
    assert world.recorder.log(1).endswith("task task1 exited with status 3\n")
    assert "not reached" not in world.recorder.log(1)


def test_a_status_that_says_not_everything(world):
    """A job may name one; then its tasks go on after it, and the build is partial."""
    result = world.run("exit 6", "echo after", partial_exit_code=6)
    assert (result.status, result.reason) == (BuildStatus.PARTIAL, Reason.NONE)
    assert world.recorder.advanced[1][0] == StepResult(1, WELL, 6)
    assert "not everything was made" in world.recorder.log(1)
    assert "after" in world.recorder.log(2)


def test_partial_and_then_failed(world):
    """A failure that comes after it is the end of the build."""
    assert world.run("exit 6", "exit 1", partial_exit_code=6).status is BuildStatus.FAILED


def test_death_by_a_signal_is_named(world):
    """A shell that kills itself is said to be killed, not to exit with 137."""
    result = world.run("kill -KILL $$")
    assert result.detail == "task task1 was killed by signal 9 (SIGKILL)"
    assert world.recorder.steps == (StepResult(1, StepStatus.FAILED, 137),)


@pytest.mark.parametrize(
    ("environment", "language"), [({}, "C.UTF-8"), ({"LANG": "C"}, "C")], ids=["usual", "own"]
)
def test_tasks_have_a_language(world, environment, language):
    """That of the recipe, where it names one."""
    script = 'set +x; printf "<%s %s>" "$(printenv LANG)" "ö"'
    assert world.run(script, environment=environment).status is BuildStatus.SUCCEEDED
    assert f"<{language} ö>" in world.recorder.log(1)


def test_the_environment_arrives_unharmed(world):
    """Any text is a value, lists are arrays, and the server's own facts win over the recipe's."""
    odd = 'it\'s "$HOME" `date` \\ \n second ü *'
    world.run(
        'set +x; printf "<%s>" "$(printenv ODD)" "${LIST[@]}" "${#NONE[@]}" "$BUILD_ID"',
        environment={"ODD": odd, "LIST": ("a b", "c'd"), "NONE": (), "BUILD_ID": "mine"},
        facts={"BUILD_ID": "12"},
    )
    assert f"<{odd}><a b><c'd><0><12>" in world.recorder.log(1)


def test_a_task_has_the_variables_of_a_login(world):
    """Home, user, shell and path are set; nothing of the server's environment is."""
    world.run('set +x; test -d "$HOME"; test "$PWD" = "$HOME"; test "$USER" = "$(id -un)"; env')
    assert world.recorder.result.status is BuildStatus.SUCCEEDED
    names = {line.partition("=")[0] for line in world.recorder.log(1).splitlines()}
    assert not names & {"PYTEST_CURRENT_TEST", "VIRTUAL_ENV", "OLDPWD"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to lose")
def test_a_task_has_no_right_of_the_server(world):
    """It is in its user's own group alone, whichever root is in, and has no capability."""
    groups = os.getgroups()
    os.setgroups([*groups, 4])
    try:
        result = world.run(
            'set +x; test "$(id -G)" = "$(id -g)"; '
            'for kind in Inh Prm Eff Amb; do grep -q "^Cap$kind:.0*\\$" /proc/self/status; done'
        )
    finally:
        os.setgroups(groups)
    assert result.status is BuildStatus.SUCCEEDED


def test_files_last_between_tasks_and_variables_do_not(world):
    """Each task is a shell of its own in the same home and with the same temporary files."""
    result = world.run(
        'echo kept > file; echo kept > "${TMPDIR:-/tmp}/scratch"; export GONE=yes; cd /',
        'test "$(cat file)" = kept; test "$(cat "${TMPDIR:-/tmp}/scratch")" = kept; '
        'test -z "$GONE"; test "$PWD" = "$HOME"',
    )
    assert result.status is BuildStatus.SUCCEEDED


def test_complete_build_skips_the_rest(world):
    """The build is a success, and the tasks that were not needed are skipped."""
    assert world.run("complete-build\nfalse", "false", "false").status is BuildStatus.SUCCEEDED
    assert world.recorder.steps == (
        StepResult(1, WELL, 0),
        StepResult(2, StepStatus.SKIPPED),
        StepResult(3, StepStatus.SKIPPED),
    )


def test_the_setup_log_says_what_runs_where(world):
    """Sandbox, notes, an image that is not here and the names of variables are told."""
    world.run(
        notes=("the key 'shell' is not acted on",),
        image="no/such",
        environment={"B": "2", "A": "1", "not a name": "x"},
    )
    log = world.recorder.log(0)
    assert log.startswith("build 7, attempt 1, ")
    assert f"sandbox: {world.sandbox.name}" in log
    assert "note: the key 'shell' is not acted on\n" in log
    assert "note: there is no image no/such here" in log
    assert "environment: A, B, not a name\n" in log
    assert "left out, no shell takes them as names: not a name\n" in log


def test_what_the_setup_says_leaves_in_few_pieces(world, place):
    """Lines that nobody waits for go with the next: one piece before a source, one in the end."""
    (place / "tree").mkdir()
    world.run(sources=(Source(uri=str(place / "tree"), directory="code", revision="1"),))
    assert world.recorder.log(0).endswith("source: code is in place\n")
    assert world.recorder.appends == 2


def test_sources_are_put_into_the_home(world, place):
    """The files are there, belong to the user of the build, and may be changed by it."""
    (place / "tree" / "sub").mkdir(parents=True)
    (place / "tree" / "sub" / "file").write_text("content\n")
    source = Source(uri=str(place / "tree"), directory="code/project", revision="1234")
    result = world.run("cd code/project; cat sub/file; echo x >> sub/file", sources=(source,))
    assert result.status is BuildStatus.SUCCEEDED
    assert "\ncontent\n" in world.recorder.log(1)
    assert "at 1234\nsource: code/project is in place\n" in world.recorder.log(0)


def test_a_source_stays_inside_the_home(world, place):
    """Neither dots nor a link in an earlier source lead a later one out of the home."""
    (place / "tree").mkdir()
    (place / "outside").mkdir()
    (place / "tree" / "link").symlink_to(place / "outside")
    uri = str(place / "tree")
    for directory in ("../x", "/x", ".", ".tasks", "one/link/x", "one/link"):
        world.recorder.result = None
        world.recorder.logs.clear()
        sources = (Source(uri=uri, directory="one"), Source(uri=uri, directory=directory))
        assert world.run("true", sources=sources).reason is Reason.SOURCE_UNAVAILABLE
    assert not list((place / "outside").iterdir())


def test_a_source_that_is_not_there_fails_the_build(world):
    """A permanent failure is the job's; its text and hint are in the setup log."""
    world.sources.fault = NotFound("there is no revision 12", hint="push it")
    result = world.run("true", sources=(Source(uri="x", directory="x"),))
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.SOURCE_UNAVAILABLE)
    assert result.detail == "there is no revision 12"
    assert "there is no revision 12\npush it\n" in world.recorder.log(0)
    assert world.recorder.steps == (StepResult(0, StepStatus.FAILED),)


def test_a_source_that_is_away_gives_the_build_back(world):
    """A temporary failure of another system is no verdict about the job."""
    world.sources.fault = RemoteFailure("the forge does not answer", temporary=True)
    assert world.run("true", sources=(Source(uri="x", directory="x"),)) is None
    assert world.recorder.given_back == ["the forge does not answer"]
    assert world.recorder.log(0).endswith("\nthe forge does not answer\n")


def test_a_failure_of_ours_gives_the_build_back(world):
    """What nobody foresaw is logged for the administrator and judged about nobody."""
    world.recorder.append_error = ValueError("unforeseen")
    assert world.run("echo x; sleep 60") is None
    assert world.recorder.given_back == ["the worker failed: ValueError"]


def test_a_full_disk_is_our_fault(world):
    """The build ends as errored with its own reason, and the task with it."""
    world.recorder.append_error = OSError(errno.ENOSPC, "no space")
    result = world.run("echo x; sleep 60")
    assert (result.status, result.reason) == (BuildStatus.ERRORED, Reason.DISK_FULL)
    assert world.recorder.steps == (StepResult(1, StepStatus.FAILED),)


def test_cancel_gives_a_handler_its_chance(world):
    """TERM comes first: what a task says then is still in the log."""
    build = world.begin("trap 'echo cleaned up; exit 0' TERM; set +x; echo ready; sleep 60 & wait")
    world.recorder.wait_for_log(1, "\nready")
    world.stop.set()
    build.join()
    assert world.recorder.result.status is BuildStatus.CANCELED
    assert world.recorder.result.reason is Reason.CANCELED_BY
    assert world.recorder.steps == (StepResult(1, StepStatus.CANCELED),)
    assert "\ncleaned up\n" in world.recorder.log(1)
    assert world.recorder.log(1).endswith("\nthe build was canceled\n")


def test_cancel_reaches_what_ignores_it(world, tools):
    """After the grace nothing is left, also of programs that ignore TERM in their own session."""
    mark = f"31{os.getpid()}"
    build = world.begin(
        f"set +x; trap '' TERM; setsid sleep {mark}1 & sleep {mark}2 & echo ready; wait; wait"
    )
    world.recorder.wait_for_log(1, "\nready")
    assert tools.eventually(lambda: len(tools.programs_with(f"sleep\0{mark}")) == 2)
    world.stop.set()
    build.join()
    assert world.recorder.result.status is BuildStatus.CANCELED
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))


def test_cancel_arrives_with_a_renewal(world):
    """A worker that only renews its lease learns of a cancellation too."""
    build = world.begin("set +x; echo ready; sleep 60")
    world.recorder.wait_for_log(1, "\nready")
    world.recorder.canceling = True
    build.join()
    assert world.recorder.result.reason is Reason.CANCELED_BY


def test_cancel_before_the_first_task(world):
    """A cancellation that is already there ends the setup step."""
    world.stop.set()
    assert world.run("echo never").status is BuildStatus.CANCELED
    assert world.recorder.steps == (StepResult(0, StepStatus.CANCELED),)


def test_a_drained_worker_gives_the_build_back(world):
    """Nobody canceled it, so it is queued again."""
    build = world.begin("set +x; echo ready; sleep 60")
    world.recorder.wait_for_log(1, "\nready")
    world.stop.set(StopReason.DRAINING)
    build.join()
    assert world.recorder.given_back == ["the worker was shut down"]
    assert world.recorder.result is None


def test_a_lost_lease_ends_everything_quietly(world, tools):
    """The processes and files go, and nothing more is told."""
    mark = f"32{os.getpid()}"
    build = world.begin(f"set +x; echo ready; sleep {mark}")
    world.recorder.wait_for_log(1, "\nready")
    world.recorder.lost = True
    build.join()
    assert world.recorder.result is None
    assert not world.recorder.given_back
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))


def test_what_a_task_leaves_behind_goes_with_it(world, tools):
    """A background program, also one in its own session, neither holds the step open nor lives."""
    mark = f"33{os.getpid()}"
    result = world.run(
        f"sleep {mark}1 & setsid sleep {mark}2 & (setsid sleep {mark}3 >/dev/null 2>&1 &); "
        "echo over"
    )
    assert result.status is BuildStatus.SUCCEEDED
    assert "\nover\n" in world.recorder.log(1)
    assert tools.eventually(lambda: not tools.programs_with(f"sleep\0{mark}"))


def test_the_time_limit_holds(world):
    """A job's own limit wins over the server's; the log says which it was."""
    world.limit(timeout_seconds=0.3)
    result = world.run("sleep 60", "true")
    assert (result.status, result.reason) == (BuildStatus.TIMED_OUT, Reason.TIME_LIMIT)
    assert world.recorder.log(1).endswith("the build ran longer than its limit of 0.3 s\n")
    assert world.recorder.steps == (StepResult(1, StepStatus.FAILED),)


def test_the_silence_limit_holds(world):
    """A task that says nothing for too long is ended, one that talks is not."""
    world.limit(silence_seconds=1.5)
    result = world.run("for n in 1 2 3 4; do sleep 0.5; echo $n; done", "sleep 60")
    assert (result.status, result.reason) == (BuildStatus.TIMED_OUT, Reason.SILENCE_LIMIT)
    assert result.detail == "task task2 wrote nothing for 1.5 s"


def test_the_log_limit_holds(world):
    """The log of a build is cut at its limit and says so; the task is ended."""
    world.limit(log_bytes=100_000)
    result = world.run("echo first", "yes")
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.LOG_LIMIT)
    told = "the log grew over its limit of 100000 bytes\n"
    assert world.recorder.log(2).endswith(told)
    total = sum(map(len, world.recorder.logs.values()))
    assert 100_000 <= total <= 100_000 + len(told) + 1


def test_a_log_bomb_without_lines_is_held(world, tools):
    """One line without an end, written by several programs at once, is cut as well."""
    world.limit(log_bytes=100_000)
    mark = f"38{os.getpid()}"
    bomb = f"(exec -a bomb{mark} tr '\\0' x </dev/zero) &"
    assert world.run(f"set +x; {bomb * 3} wait").reason is Reason.LOG_LIMIT
    assert sum(map(len, world.recorder.logs.values())) <= 100_000 + 100
    assert tools.eventually(lambda: not tools.programs_with(f"bomb{mark}"))


def test_a_big_log_is_complete_and_in_order(world):
    """50 MB arrive as they were written, in few appends."""
    count = 5_000_000
    world.run(f"set +x; seq -f %09.0f 1 {count}")
    log = bytes(world.recorder.logs[1]).partition(b"+ set +x\n")[2]
    assert log == b"".join(b"%09d\n" % number for number in range(1, count + 1))
    assert world.recorder.appends < 2500


def test_bytes_that_are_no_text_pass(world):
    """A log is bytes; what is not UTF-8 arrives unchanged."""
    world.run(r"set +x; printf '\377\376\000\200'")
    assert world.recorder.logs[1].endswith(b"\xff\xfe\x00\x80")


def test_secrets_are_masked_everywhere(world):
    """In the trace, in output cut in two, and in what the server says about faults."""
    secret = "correct horse's battery"
    world.run(
        'echo "$KEY"; set +x; printf \'%s\' "${KEY:0:9}"; sleep 0.1; echo "${KEY:9}"; '
        "printf '%s' \"$KEY\" | base64",
        environment={"KEY": secret},
        secrets=(secret, "abc"),
        artifacts=(secret,),
    )
    everything = b"".join(world.recorder.logs.values()).decode()
    assert "horse" not in everything
    assert "+ echo '***'\n***\n+ set +x\n***\n***" in everything
    assert "Y29ycmVjdCBob3JzZ" not in everything
    assert "horse" not in world.recorder.result.detail
    assert "warning: 1 secrets are shorter than 4 characters" in world.recorder.log(0)


def test_a_renewal_that_failed_is_tried_again_sooner(world):
    """So that a server which is away for half a lease costs no attempt."""
    world.recorder.renew_error = OSError("the server is away")
    thread = world.begin("sleep 30", lease_seconds=3)
    # More than there is time for at the usual pace, which is a third of the lease.
    world.recorder.wait_for(lambda: world.recorder.renewals > 15)
    world.stop.set()
    thread.join()


def test_the_lease_is_renewed_in_silence(world):
    """A task that says nothing keeps its lease."""
    build = world.begin("sleep 60")
    world.recorder.wait_for(lambda: world.recorder.renewals >= 3)
    world.stop.set()
    build.join()


def test_artifacts_are_handed_in(world):
    """By relative path, and by absolute path as the task sees its home."""
    inside = world.sandbox.home_inside(world.work_root / "build-7-1" / "home")
    result = world.run(
        "mkdir -p out/deep; printf one > out/deep/one; printf two > two",
        artifacts=("out/deep/one", f"{inside}/two"),
    )
    assert result.status is BuildStatus.SUCCEEDED
    assert world.recorder.products == {"out/deep/one": b"one", f"{inside}/two": b"two"}


def test_missing_artifacts_fail_the_build_together(world, place):
    """Every fault is named; links, directories, pipes and places outside are no artifacts."""
    (place / "outside").mkdir()
    (place / "outside" / "secret").write_text("secret")
    outside = place / "outside"
    paths = ("gone", "folder", "link", "jump/secret", "pipe", "../x", f"{outside}/secret", "good")
    result = world.run(
        f"mkdir folder; ln -s {outside}/secret link; ln -s {outside} jump; mkfifo pipe; echo >good",
        artifacts=paths,
    )
    assert (result.status, result.reason) == (BuildStatus.FAILED, Reason.MISSING_ARTIFACT)
    assert result.detail == (
        "artifacts are missing: gone (no such file or directory), folder (not a regular file), "
        "link (link is a symbolic link), jump/secret (jump is a symbolic link), "
        f"pipe (not a regular file), ../x (outside of the home), {outside}/secret (outside of "
        "the home)"
    )
    assert world.recorder.steps == (StepResult(1, WELL, 0),)
    assert world.recorder.products == {"good": b"\n"}


def test_unreadable_trees_are_removed(world):
    """Whatever a build makes of its home, the directory goes (`run` of this suite looks)."""
    result = world.run("mkdir -p a/b; touch a/b/c; ln -s / a/b/root; chmod 000 a/b a")
    assert result.status is BuildStatus.SUCCEEDED


def test_a_listener_of_this_machine(world):
    """Without network a server on this machine is out of reach, where the sandbox can do that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        connect = f"set +x; if (: < /dev/tcp/127.0.0.1/{port}); then echo reached; fi"
        world.run(connect, network=False)
        log = world.recorder.log(1)
    assert ("reached" in log) is not world.sandbox.closes_network
    expected = "network: none" if world.sandbox.closes_network else "cannot close it"
    assert expected in world.recorder.log(0)
