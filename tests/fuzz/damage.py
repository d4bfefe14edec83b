"""Seeded damage to the bytes of a valid file, and the clock and the words that every reader must keep."""

import os
import random
import signal
from contextlib import contextmanager

from bench.errors import NotApplicable, UserError

CASES = 300 * int(os.environ.get("CRBENCH_FUZZ", "1"))  # read before the tests' settings are taken away
PARTS = 10  # tests a format: each names its seeds
SECONDS = 30


def seeds(part):
    """The seeds of one part: every even one changes one byte."""
    return range(part, CASES, PARTS)


def one_byte(content, rng):
    """One byte is another."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ rng.randrange(1, 256)]) + content[place + 1 :]


def torn(content, rng):
    """Cut, doubled, zeroed, shuffled, or with bytes put in."""
    start = rng.randrange(len(content))
    end = min(len(content), start + rng.choice((1, 2, 8, 64, 1000)))
    return rng.choice(
        (
            lambda: content[:start],
            lambda: content[start:],
            lambda: content[:start] + content[end:],
            lambda: content[:end] + content[start:],
            lambda: content[:start] + bytes(end - start) + content[end:],
            lambda: content[:start] + b"\xff" * (end - start) + content[end:],
            lambda: content[:start] + rng.randbytes(end - start) + content[end:],
            lambda: content[:start] + rng.randbytes(rng.randrange(1, 20)) + content[start:],
            lambda: content[end:] + content[:end],
            lambda: content + content,
            lambda: b"\xef\xbb\xbf" + content,
            lambda: b"",
        )
    )()


class Hung(AssertionError):
    """A reader did not answer in time."""


@contextmanager
def clock(seed):
    """What takes longer is a hang; with the seed, so that it can be seen again."""

    def hung(number, frame):
        raise Hung(f"seed {seed}: no answer in {SECONDS} s")

    former = signal.signal(signal.SIGALRM, hung)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def answer(seed, read):
    """What reading gives, or the error in words; whatever else is raised fails the test with its seed."""
    with clock(seed):
        try:
            return read(), None
        except UserError as error:
            for problem in error.problems:
                line = str(problem)
                assert line, f"seed {seed}"
                assert "\n" not in line, f"seed {seed}: {line!r}"
                assert len(line) < 2000, f"seed {seed}: {line!r}"
                line.encode()  # it can be printed
            return None, error
        except NotApplicable as error:
            return None, error
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error


def generator(seed):
    """Random numbers of one case."""
    return random.Random(f"damage {seed}")
