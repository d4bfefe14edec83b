"""Standard streams that are full, closed or no longer read: one line, and never another verdict."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CRBENCH = f"{sys.executable} -m bench"
STRICT = ("max_harm = 0.5", "max_harm = 0.0")
FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")


def shell(command):
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)


def verdict(arguments, redirection=""):
    done = shell(f"{CRBENCH} {arguments} {redirection}; exit ${{PIPESTATUS[0]}}")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()


@pytest.mark.parametrize("command", ["run tiny.toml --gate", "run tiny.toml --gate --json", "gate reports/tiny"])
def test_a_reader_that_has_seen_enough_changes_no_verdict(measured, command):
    measured.write(*STRICT)
    assert measured.run("run", "tiny.toml", "--quiet", "--gate") == 1
    whole = verdict(command, ">out.txt")
    assert whole[0] == 1
    assert (measured.folder / "out.txt").stat().st_size > 100
    # the pipe's reader is gone before the first byte is written
    read = verdict(command, "| (exec <&-; sleep 0)")
    assert read == whole
    assert verdict(command, "| head -c 1") == whole


@FULL
@pytest.mark.parametrize("command", ["list metrics", "run tiny.toml", "run tiny.toml --json", "gate reports/tiny"])
@pytest.mark.parametrize(("place", "said"), [(">/dev/full", "No space left"), (">&-", "it is closed")])
def test_output_that_cannot_be_written_is_incomplete_and_one_line(measured, command, place, said):
    code, lines = verdict(command, place)
    assert (code, len(lines)) == (3, 1), lines
    assert lines[0].startswith("crbench: standard output cannot be written: ")
    assert said in lines[0]


def test_a_closed_output_that_nothing_is_written_to_changes_nothing(measured):
    assert verdict("run tiny.toml --quiet", ">&-") == (0, [])
    before = (measured.folder / "reports" / "tiny" / "results.json").read_bytes()
    assert before.startswith(b"{")


@FULL
@pytest.mark.parametrize("place", ["2>/dev/full", "2>&-", "2>&- >out.txt <&-"])
def test_standard_error_costs_no_run(measured, place):
    measured.write(*STRICT)
    assert verdict("run tiny.toml --gate", place)[0] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_signals_end_as_an_interrupt_does(tiny, number):
    (tiny.folder / "slow_of_test_streams.py").write_text(
        "import time\ndef make():\n    open('started', 'w').close()\n    time.sleep(60)\n"
    )
    variant = '[[variant]]\nname = "mine"\nfactory = "slow_of_test_streams:make"\n\n[[metric]]'
    tiny.write('[[metric]]\nuse = "fidelity.predictions"', f'{variant}\nuse = "fidelity.predictions"')
    command = [sys.executable, "-m", "bench", "run", "tiny.toml", "--gate", "--quiet"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        try:
            deadline = time.monotonic() + 60
            while not (tiny.folder / "started").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            run.send_signal(number)
            said = run.communicate(timeout=60)[1].strip().splitlines()
        finally:
            run.kill()
    assert run.returncode == 3
    by = "" if number is signal.SIGINT else f" by {number.name}"
    assert said == [f"crbench: interrupted{by}; what was measured is stored, the same command goes on from there"]
    assert not list(tiny.folder.rglob("*.part"))
    assert not (tiny.folder / "reports").exists()


def test_a_signal_that_is_ignored_stays_so(tiny):
    """``nohup`` holds: the signal does not end the run."""
    code = "import os, signal; from bench.interrupts import *\n"
    code += "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code += "with watched(*ENDING) as came:\n    os.kill(os.getpid(), signal.SIGHUP)\nprint('on', came)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "on []\n"


def test_no_file_becomes_standard_output():
    """A closed descriptor is the next file's number: what is printed would go into it."""
    code = "from bench.commands.streams import guard_streams; guard_streams(); import os, sys\n"
    code += "sys.exit(0 if os.open(os.devnull, os.O_WRONLY) > 2 else 1)"
    for closed in (">&-", "2>&-", "<&-", ">&- 2>&- <&-"):
        assert shell(f"{sys.executable} -c '{code}' {closed}").returncode == 0, closed
