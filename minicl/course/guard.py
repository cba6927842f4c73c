"""Calling a learner's function so that nothing it does can stop the grader.

Exceptions, endless loops, floods of output, changed arguments and odd results all end as a `Failed` with a plain
text.
"""

import builtins
import contextlib
import ctypes
import io
import itertools
import linecache
import math
import operator
import os
import random
import signal
import sys
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

    An exception is set in the thread by a second thread: it arrives at the next line of Python. In the main thread a
    signal ends a sleep or a wait as well; a single call into compiled code that only computes is not interrupted. On
    a busy machine the limit is one of processor time, up to `PATIENCE` times as long by the clock on the wall.
    """

    PATIENCE = 4

    def __init__(self, seconds):
        self.seconds = seconds
        self._handler = None
        self.up = self._inside = False
        self._lock = threading.Lock()
        self._thread = ctypes.c_ulong(threading.get_ident())
        self._timer = threading.Timer(seconds, self._ring)
        self._timer.daemon = True

    def __enter__(self):
        self._wall, self._processor = time.perf_counter(), time.process_time()
        if threading.current_thread() is threading.main_thread() and hasattr(signal, "pthread_kill"):
            self._handler = signal.signal(signal.SIGALRM, self._wake)
        with contextlib.suppress(RuntimeError):  # where there are no threads (in a browser) there is no limit
            self._timer.start()
        return self

    def __exit__(self, *_):
        self._timer.cancel()
        if self._handler is not None:
            with self._lock:  # the timer sends its signal under the lock too
                handler, self._handler = self._handler, None
            signal.signal(signal.SIGALRM, handler)

    def _wake(self, *_):
        if self._inside and self.up:
            raise TimeUp

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

    def _busy_elsewhere(self):
        """Whether the machine gave so little time that the function may be a quick one."""
        waited = time.perf_counter() - self._wall
        return waited < self.PATIENCE * self.seconds and time.process_time() - self._processor < self.seconds

    def _ring(self):
        while self._busy_elsewhere():
            if self._timer.finished.wait(0.02):
                return
        for pause in itertools.chain([0.05], itertools.repeat(0.002)):
            with self._lock:
                self.up = True
                if not self._inside:
                    return
                _set_exception(self._thread, TimeUp)
                if self._handler is not None:
                    signal.pthread_kill(self._thread.value, signal.SIGALRM)
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


# What everything here stands on. A learner's function that puts something else into it would break the grading of all.
_OTHERS = ("_", "input")  # IPython changes these two itself, in every cell
_WATCHED = [
    (module.__name__, vars(module), *zip(*((name, x) for name, x in vars(module).items() if name not in _OTHERS)))
    for module in (builtins, math, operator, np, np.linalg, np.random)
]


def _put_back(watched=_WATCHED, all=all, map=map, zip=zip, same=operator.is_):  # the builtins may be others by now
    """The modules as they were; the names of what was changed in them."""
    changed = []
    for module, space, names, values in watched:
        if not all(map(same, map(space.get, names), values)):
            for name, value in zip(names, values):
                if space.get(name) is not value:
                    space[name] = value
                    changed.append(module + "." + name)
    return changed


def _end_threads(before):
    """Ends the threads that a function left running: they would take time from everything after them.

    Those that wait inside the standard library do no harm, and many libraries keep some.
    """
    library, installed = os.path.dirname(os.__file__), os.sep + "site-packages" + os.sep
    for _ in range(200):
        frames = sys._current_frames()
        ours = lambda thread: thread in before or isinstance(thread, threading.Timer)
        left = [thread for thread in threading.enumerate() if thread.ident in frames and not ours(thread)]
        files = {thread: frames[thread.ident].f_code.co_filename for thread in left}
        running = [t for t in left if not files[t].startswith(library) or installed in files[t]]
        if not running:
            return
        for thread in running:
            _set_exception(ctypes.c_ulong(thread.ident), SystemExit)  # the one that no thread reports
        time.sleep(0.005)


@contextlib.contextmanager
def quiet():
    """Collects what is printed, hides warnings (overflow is judged by its result), and restores what all share: the
    global random states, the working directory, the limit of recursion.
    """
    printed, states = Printed(), (np.random.get_state(), random.getstate())  # noqa: NPY002  (a learner may seed them)
    folder, limit, unraisable = os.getcwd(), sys.getrecursionlimit(), sys.unraisablehook
    # An exception that arrives inside a callback of the garbage collector cannot be raised; the next one can.
    sys.unraisablehook = lambda event: None if event.exc_type is TimeUp else unraisable(event)
    threads = set(threading.enumerate())
    try:
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            contextlib.redirect_stdout(printed),
            contextlib.redirect_stderr(Printed()),  # and forgotten: the interpreter writes there, too
        ):
            warnings.simplefilter("ignore")
            yield printed
    finally:
        sys.setrecursionlimit(limit)
        sys.unraisablehook = unraisable
        np.random.set_state(states[0])  # noqa: NPY002
        random.setstate(states[1])
        if os.getcwd() != folder:
            os.chdir(folder)
        if threading.active_count() > len(threads):
            _end_threads(threads)


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
        try:
            value = self.function(*args, **options)
        finally:
            changed = _put_back()
        if changed:
            raise Failed("changed " + ", ".join(changed[:3]), "modules as they were")
        try:
            return self.exercise.answer(value, self.exercise.results)
        finally:  # a generator runs only now
            _put_back()

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
