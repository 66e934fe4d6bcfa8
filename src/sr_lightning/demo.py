"""``python -m sr_lightning.demo``: a web page that enlarges pictures, on this computer only."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from sr_lightning.cli.listening import (
    ending_signals,
    refuse_a_port_in_use,
    refuse_numbers_below_zero,
    refuse_what_is_no_name,
)
from sr_lightning.cli.start import run
from sr_lightning.config.paths import refuse_bad_weights
from sr_lightning.errors import ConfigError

if TYPE_CHECKING:
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
    refuse_a_port_in_use(cfg.host, cfg.port)
    refuse_bad_weights(cfg)
    refuse_numbers_below_zero(cfg, "keep_minutes")
    refuse_what_is_no_name(cfg)
    print(f"starting: http://{cfg.host}:{cfg.port} answers in a few seconds", flush=True)
    with ending_signals() as ended, TemporaryDirectory(prefix="sr_lightning_demo_") as folder:
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


def main() -> None:
    """Entry point of ``sr-demo``."""
    run(demo, "demo")


if __name__ == "__main__":
    main()
