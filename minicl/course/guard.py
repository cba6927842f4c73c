"""Calling a learner's function so that nothing it does can stop the grader.

Exceptions, endless loops, floods of output, changed arguments and odd results all end as a `Failed` with a plain
text.
"""

import contextlib
import ctypes
import io
import itertools
import linecache
import threading
import time
import warnings
from pathlib import Path

import numpy as np

from .answers import Failed
from .exercise import Case, Code

_HERE = str(Path(__file__).parent)


class TimeUp(BaseException):
    """Raised inside a learner's function that takes too long. Not an Exception: `except Exception` must not stop it."""


class Clock:
    """A time limit for all calls of one function together, in any thread and on any system.

    An exception is set in the thread by a second thread: it arrives at the next line of Python, so a single call into
    compiled code is not interrupted.
    """

    def __init__(self, seconds):
        self.seconds = seconds
        self.up = self._inside = False
        self._lock = threading.Lock()
        self._thread = ctypes.c_ulong(threading.get_ident())
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def __enter__(self):
        with contextlib.suppress(RuntimeError):  # where there are no threads (in a browser) there is no limit
            self._timer.start()
        return self

    def __exit__(self, *_):
        self._timer.cancel()

    def call(self, function):
        """function(), or TimeUp."""
        try:
            try:
                with self._lock:
                    if self.up:
                        raise TimeUp
                    self._inside = True
                value = function()
            finally:
                self._leave()
        except TimeUp:
            self._leave()  # a second one can come in the middle of the first `_leave`
            raise
        if self.up:  # it came while the function returned, or the function swallowed it
            raise TimeUp
        return value

    def _leave(self):
        while True:
            try:
                with self._lock:
                    self._inside = False
                    if self.up:  # else none is on its way, and to take back what is not there would leave a signal set
                        _set_exception(self._thread, None)
                return
            except TimeUp:  # it was on its way
                pass

    def _ring(self):
        for pause in itertools.chain([0.05], itertools.repeat(0.002)):
            with self._lock:
                self.up = True
                if not self._inside:
                    return
                _set_exception(self._thread, TimeUp)
            time.sleep(pause)  # and again, for a loop that catches everything


def _set_exception(thread, kind):
    ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(kind) if kind else None)


class Printed(io.TextIOBase):
    """Keeps the first characters and counts the rest."""

    KEPT = 1000

    def __init__(self):
        self.text, self.length = "", 0

    def write(self, text):
        self.text += text[: self.KEPT - len(self.text)]
        self.length += len(text)
        return len(text)


@contextlib.contextmanager
def quiet():
    """Collects what is printed, hides warnings (overflow is judged by its result), restores the global random state."""
    printed, state = Printed(), np.random.get_state()  # noqa: NPY002  (a learner may seed it)
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(printed),
        ):
            warnings.simplefilter("ignore")
            yield printed
    finally:
        np.random.set_state(state)  # noqa: NPY002


class Guarded:
    """A learner's function that raises nothing but `Failed` and remembers its answers.

    Attributes
    ----------
    outcomes : list
        What the calls since the last `forget` ended in: an answer with the names of changed arguments, or the name of
        an exception.
    asked : list of Case
        Those calls.
    changes : list of (Case, str)
        Calls that changed an argument.
    """

    def __init__(self, exercise, function, clock):
        self.exercise, self.function, self.clock = exercise, function, clock
        self.outcomes, self.asked, self.changes = [], [], []

    def forget(self):
        self.outcomes, self.asked = [], []

    def __call__(self, *args, **options):
        case = Case(args, options)
        self.asked.append(case)
        args, options = case.fresh()
        try:
            answer = self.clock.call(lambda: self._answer(args, options))
        except KeyboardInterrupt:
            raise
        except TimeUp:
            late = f"not finished within {self.clock.seconds:g} s"
            self._failed(case, "TimeUp", late, "an end: is there an endless loop?")
        except Failed as failed:
            self._failed(case, failed.observed, failed.observed, failed.expected)
        except NotImplementedError:
            self._failed(case, "NotImplementedError", "not written yet", "an answer")
        except BaseException as error:  # SystemExit too: a learner's exit() must not end the notebook
            self._failed(case, type(error).__name__, f"raised {_message(error)}", "an answer")
        changed = self._changed(case, args, options)
        self.outcomes.append((answer, changed))
        if changed:
            self.changes.append((case, changed))
        return answer

    def _answer(self, args, options):
        return self.exercise.answer(self.function(*args, **options), self.exercise.results)

    def _failed(self, case, outcome, observed, expected):
        self.outcomes.append(outcome)
        failed = Failed(observed, expected)
        failed.case = case
        raise failed from None

    def _changed(self, case, args, options):
        """Names of the arguments that are not what they were."""
        names = [*self.exercise.arguments[: len(args)], *options]
        before, after = [*case.args, *case.options.values()], [*args, *options.values()]
        return ", ".join(name for name, x, y in zip(names, before, after) if not _same(x, y))


def _same(before, after):
    if isinstance(before, Code):
        return True
    if isinstance(before, np.ndarray):
        return before.shape == after.shape and before.dtype == after.dtype and before.tobytes() == after.tobytes()
    return before == after


def _message(error):
    """An exception in one line, with the line of the learner's function that it came from."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    trace, place = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if not code.co_filename.startswith((_HERE, "<an argument")):
            line = linecache.getline(code.co_filename, trace.tb_lineno).strip()
            place = f" (line {trace.tb_lineno}{': ' + line if line else ''})"
            break
        trace = trace.tb_next
    return f"{type(error).__name__}{': ' + text[:1000] if text else ''}{place}"
