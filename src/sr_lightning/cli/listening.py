"""What commands that listen on a port have in common: whether they can, their limits, and the signals that end them."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType

from omegaconf import DictConfig

from sr_lightning.errors import ConfigError, Interrupted


@dataclass
class End:
    """Whether the command is to end, and by which signal."""

    happened: threading.Event = field(default_factory=threading.Event)
    signum: int = 0

    def receive(self, signum: int, frame: FrameType | None) -> None:
        """The handler of a signal; the first decides the exit code."""
        self.signum = self.signum or signum
        self.happened.set()


@contextmanager
def ending_signals() -> Iterator[End]:
    """Receives the signals that end a command, and restores their handlers afterwards.

    Raises:
        Interrupted: On leaving, after SIGTERM or SIGHUP.
    """
    ended = End()
    before = {}
    if threading.current_thread() is threading.main_thread():
        names = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        # What a process ignores it goes on ignoring: Ctrl-C in a script's background, the end of a nohup's terminal.
        before = {s: signal.signal(s, ended.receive) for s in names if signal.getsignal(s) is not signal.SIG_IGN}
    try:
        yield ended
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if ended.signum not in (0, signal.SIGINT):
        raise Interrupted(f"ended by {signal.Signals(ended.signum).name}", ended.signum)


def refuse_what_is_no_name(cfg: DictConfig) -> None:
    """Checks ``hosts``, further names of the server.

    Raises:
        ConfigError: If it is no list of names.
    """
    if isinstance(cfg.hosts, str) or not all(isinstance(name, str) and name for name in cfg.hosts or ()):
        raise ConfigError(f"hosts={cfg.hosts}: must be names, as in hosts=[sr.example.org]")


def refuse_numbers_below_zero(cfg: DictConfig, *keys: str) -> None:
    """Checks every ``max_`` key of a config, and further ones.

    Raises:
        ConfigError: If one is no number above 0.
    """
    for key in (*(str(key) for key in cfg if str(key).startswith("max_")), *keys):
        value = cfg[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise ConfigError(f"{key}={value}: must be a number above 0")


def refuse_a_port_in_use(host: str, port: int) -> None:
    """Tries whether a command can listen at an address.

    Raises:
        ConfigError: If it cannot.
    """
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"host={host} port={port}: cannot listen there ({reason}); choose another port=") from None
