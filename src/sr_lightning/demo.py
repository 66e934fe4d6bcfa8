"""``python -m sr_lightning.demo``: a web page that enlarges pictures, on this computer only."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sr_lightning.cli.start import run
from sr_lightning.config.paths import refuse_bad_weights
from sr_lightning.errors import ConfigError, Interrupted

if TYPE_CHECKING:
    from types import FrameType

    from omegaconf import DictConfig


def demo(cfg: DictConfig) -> None:
    """Serves the page until Ctrl-C, SIGTERM or SIGHUP. Nothing stays on the disk.

    Raises:
        ConfigError: If gradio is not installed, the port is in use, or a network cannot be loaded.
        Interrupted: At SIGTERM or SIGHUP.

    Example:
        >>> from sr_lightning.config import compose
        >>> demo(compose("demo", ["port=7861"]))  # doctest: +SKIP
    """
    _refuse_a_port_in_use(cfg.host, cfg.port)
    refuse_bad_weights(cfg)
    _check_limits(cfg)
    print(f"starting: http://{cfg.host}:{cfg.port} answers in a few seconds", flush=True)
    with _signals() as ended, TemporaryDirectory(prefix="sr_lightning_demo_") as folder:
        # Read when gradio is imported: no telemetry, no question for newer versions, its files among ours.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": f"{folder}/uploads"}
        try:
            import gradio  # noqa: F401
        except ModuleNotFoundError:
            raise ConfigError('the web page needs an extra: pip install "sr_lightning[demo]"') from None
        from sr_lightning.demo_page.layout import launch_page
        from sr_lightning.demo_page.networks import offered_networks
        from sr_lightning.demo_page.sessions import Sessions

        sessions = Sessions(folder, keep=60 * cfg.keep_minutes)
        page = launch_page(offered_networks(cfg), sessions, cfg)
        try:
            print(f"http://{cfg.host}:{cfg.port}  (Ctrl-C ends it)", flush=True)
            # A signal that another thread of the process gets does not wake this one; it is noticed after a second.
            while not any(ended.happened.wait(1) for _ in range(30)):
                sessions.sweep()
        finally:
            sessions.stop_all()
            page.close(verbose=False)


@dataclass
class _End:
    """Whether the page is to end, and by which signal."""

    happened: threading.Event = field(default_factory=threading.Event)
    signum: int = 0

    def receive(self, signum: int, frame: FrameType | None) -> None:
        self.signum = self.signum or signum
        self.happened.set()


@contextmanager
def _signals() -> Iterator[_End]:
    """Receives the signals that end the page, and restores their handlers afterwards."""
    ended = _End()
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


def _check_limits(cfg: DictConfig) -> None:
    for key in (*(str(key) for key in cfg if str(key).startswith("max_")), "keep_minutes"):
        value = cfg[key]
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            raise ConfigError(f"{key}={value}: must be a number above 0")
    if isinstance(cfg.hosts, str) or not all(isinstance(name, str) and name for name in cfg.hosts or ()):
        raise ConfigError(f"hosts={cfg.hosts}: must be names, as in hosts=[sr.example.org]")


def _refuse_a_port_in_use(host: str, port: int) -> None:
    try:
        with socket.create_server((host, port)):
            pass
    except (OSError, OverflowError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"host={host} port={port}: cannot listen there ({reason}); choose another port=") from None


def main() -> None:
    """Entry point of ``sr-demo``."""
    run(demo, "demo")


if __name__ == "__main__":
    main()
