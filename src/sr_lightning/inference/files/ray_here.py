"""Ray for as long as a command needs it: quiet, and ended with the command, by signals as well."""

import contextlib
import io
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

from sr_lightning.errors import ConfigError, Interrupted


@contextmanager
def ray_here(cores: int | None = None) -> Iterator[Any]:
    """Ray, connected to the cluster that ``RAY_ADDRESS`` names, or begun on this machine until the block ends.

    Args:
        cores: Of this machine, that it may use; by default, all.

    Raises:
        ConfigError: If Ray is missing, or no cluster answers.
        Interrupted: After SIGTERM or SIGHUP, which end the block as Ctrl-C does.
    """
    with _ended_by_signals() as receive_signals, _connected(cores) as ray:
        receive_signals()  # Ray has put a handler of its own in place, which prints stacks
        yield ray


@contextmanager
def _connected(cores: int | None) -> Iterator[Any]:
    """Ray, without what it says."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what goes wrong is told in a sentence
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise ConfigError('cluster=ray: Ray is not installed; pip install "sr_lightning[ray]"') from None
    begun = not ray.is_initialized()
    if begun:
        _refuse_silent(os.environ.get("RAY_ADDRESS", ""))
        own: dict[str, Any] = {} if os.environ.get("RAY_ADDRESS") else {"include_dashboard": False, "num_cpus": cores}
        try:
            with _without_first_words():
                ray.init(logging_level=logging.ERROR, log_to_driver=False, configure_logging=True, **own)
        except ConnectionError as error:
            address = os.environ.get("RAY_ADDRESS")
            raise ConfigError(f"RAY_ADDRESS={address}: no cluster answers there ({last_line(error)})") from None
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.verbose_progress = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Ray's threads print what they hear of processes where the names of results go, and the rest when it ends.
    with contextlib.redirect_stdout(_Heard(sys.stderr)):
        try:
            yield ray
        finally:
            if begun:
                ray.shutdown()


@contextmanager
def _ended_by_signals() -> Iterator[Callable[[], None]]:
    """Ends the block at SIGTERM and SIGHUP as Ctrl-C does; gives what puts the handlers in place once more.

    Raises:
        Interrupted: On leaving, after such a signal.
    """
    received: list[int] = []

    def receive(signum: int, frame: FrameType | None) -> None:
        received.append(signum)
        if len(received) == 1:  # what ends already is left to its end
            raise KeyboardInterrupt  # which nothing in between takes for a failure

    before = {}
    if threading.current_thread() is threading.main_thread():
        names = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
        # What a process ignores it goes on ignoring, such as the end of a nohup's terminal.
        before = {s: signal.getsignal(s) for s in names if signal.getsignal(s) is not signal.SIG_IGN}

    def receive_signals() -> None:
        for signum in before:
            signal.signal(signum, receive)

    receive_signals()
    try:
        yield receive_signals
    except SystemExit:  # by the handler that Ray has while it starts
        received.append(signal.SIGTERM)
    except BaseException:
        if not received:
            raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if received:
        raise Interrupted("interrupted; overwrite=skip goes on", received[0])


#: Seconds in which a cluster takes a connection.
ANSWER = 10.0


def _refuse_silent(address: str) -> None:
    """Raises a ``ConfigError`` if nothing listens at an address of a cluster: Ray tries for minutes, and says nothing.

    Example:
        >>> _refuse_silent("auto")  # which Ray looks up
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
    except (OSError, OverflowError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"RAY_ADDRESS={address}: no cluster answers there ({reason}); leave it out to begin one on this machine"
        ) from None


@contextmanager
def _without_first_words() -> Iterator[None]:
    """Hides what Ray's native code writes on the error stream when it starts."""
    sys.stderr.flush()
    usual, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(usual, 2)
        for each in (usual, nowhere):
            os.close(each)


def last_line(error: BaseException) -> str:
    r"""The last line of what an error of Ray says, whose others are stacks.

    Example:
        >>> last_line(ValueError("a stack\nthe reason"))
        'the reason'
    """
    return str(error).strip().rpartition("\n")[2][:300] or type(error).__name__


class _Heard(io.TextIOBase):
    """In place of what Ray prints on the output: a sentence if a process died."""

    def __init__(self, errors: TextIO) -> None:
        self._errors = errors

    def write(self, text: str) -> int:
        if "A worker died" in text:
            print("a worker died; another one goes on with what it had not done", file=self._errors)
        return len(text)
