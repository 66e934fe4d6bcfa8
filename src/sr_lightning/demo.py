"""``python -m sr_lightning.demo``: a web page that enlarges pictures, on this computer alone."""

from __future__ import annotations

import os
import signal
import socket
import threading
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sr_lightning.config import run
from sr_lightning.errors import ConfigError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def demo(cfg: DictConfig) -> None:
    """Serves the page until Ctrl-C or SIGTERM; nothing stays on the disk.

    Raises:
        ConfigError: If gradio is not installed, the port is not free, or a network cannot be loaded.

    Example:
        >>> from sr_lightning.config import compose
        >>> demo(compose("demo", ["port=7861"]))  # doctest: +SKIP
    """
    _refuse_a_port_in_use(cfg.host, cfg.port)
    with TemporaryDirectory(prefix="sr_lightning_demo_") as folder:
        # Read when gradio is imported: no telemetry, no question for newer versions, its files among ours.
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": f"{folder}/uploads"}
        try:
            import gradio  # noqa: F401
        except ModuleNotFoundError:
            raise ConfigError('the web page needs an extra: pip install "sr_lightning[demo]"') from None
        from sr_lightning.demo_page.layout import launch
        from sr_lightning.demo_page.networks import offered_networks
        from sr_lightning.demo_page.sessions import Sessions

        sessions = Sessions(folder, keep=60 * cfg.keep_minutes)
        ended = threading.Event()
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, lambda *_: ended.set())
        page = launch(offered_networks(cfg), sessions, cfg)
        try:
            print(f"http://{cfg.host}:{cfg.port}  (Ctrl-C ends it)", flush=True)
            while not ended.wait(30):
                sessions.sweep()
        finally:
            sessions.stop_all()
            page.close(verbose=False)


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
