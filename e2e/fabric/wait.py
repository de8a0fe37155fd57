"""Waiting for a condition with a deadline. A scenario sleeps only for a time that it tests, watches or paces."""

import time


class TimedOut(AssertionError):
    """The condition did not hold in time; the text has its name and the last value."""


def wait_until(condition, deadline, why, every=0.05):
    """Calls `condition` until it returns a true value, for at most `deadline` seconds.

    Returns that value. A condition may raise AssertionError, OSError or LookupError for "not yet"; the last
    one is shown when time runs out.
    """
    started = time.monotonic()
    seen = None
    while True:
        try:
            value = condition()
            if value:
                return value
            seen = value
        except (AssertionError, OSError, LookupError) as error:
            seen = error
        if time.monotonic() - started > deadline:
            raise TimedOut(f"not within {deadline} s: {why} (last: {seen!r})")
        time.sleep(every)


def stays_true(condition, seconds, why, every=0.1):
    """Checks that `condition` holds for `seconds` without a break: for events that must not happen."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert condition(), f"did not stay so for {seconds} s: {why}"
        time.sleep(every)


def wait_until_steady(look, seconds, deadline, why, every=0.1):
    """Waits until `look` returns the same true value for `seconds` without a break, and returns that value.
    `look` may raise the same errors as a condition of wait_until()."""
    started = time.monotonic()
    seen, since = None, started
    while True:
        try:
            now = look()
        except (AssertionError, OSError, LookupError) as error:
            now = error
        if not now or isinstance(now, Exception) or now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since >= seconds:
            return seen
        if time.monotonic() - started > deadline:
            raise TimedOut(f"not within {deadline} s: {why} (last: {seen!r})")
        time.sleep(every)
