"""Trained networks from folders and from the Hugging Face Hub, and to there."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sr_lightning.atomic import atomic_write, expand_home
from sr_lightning.config.paths import refuse_folder
from sr_lightning.errors import CheckpointError, ConfigError, SRError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import describe
from sr_lightning.weights.files import load_model
from sr_lightning.weights.portable import read_card, write_safetensors
from sr_lightning.weights.shipped import pretrained_networks

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def from_pretrained(where: str | Path, *, revision: str | None = None, **recipe: Any) -> SuperResolutionModule:
    """The network in a folder, or in a repository of the Hugging Face hub, to use or to train on.

    Args:
        where: A folder that ``save_pretrained`` wrote, or ``user/name``, which needs ``sr_lightning[hub]``.
        revision: Branch, tag or commit on the hub.
        recipe: Parts that files do not keep: loss, optimizer, scheduler, protocol.

    Raises:
        CheckpointError: If there is nothing of that name, or it is not of this library.
        ConfigError: If it is the name of a shipped network.
    """
    if str(where) in pretrained_networks():
        raise ConfigError(f"{where}: is a shipped network; sr.load({str(where)!r}).model is the network")
    folder = expand_home(where)
    if not (folder / WEIGHTS).is_file():  # a run's folder, which no save_pretrained wrote
        refuse_folder(where)
    path = folder / WEIGHTS if folder.is_dir() else _download(str(where), revision)
    return load_model(path, **recipe)


def save_pretrained(model: SuperResolutionModule, folder: str | Path, card: str | None = None) -> Path:
    """Writes a network as repositories of the hub have it: weights, ``config.json``, and a card in ``README.md``.

    Args:
        model: The network.
        folder: Is made if need be.
        card: Markdown; by default, what is known about the network, without scores.

    Returns:
        The folder.
    """
    folder = expand_home(folder)
    write_safetensors(model, folder / WEIGHTS)
    about = read_card(folder / WEIGHTS)
    with atomic_write(folder / CONFIG) as temporary:
        temporary.write_text(json.dumps(about, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    with atomic_write(folder / CARD) as temporary:
        temporary.write_text(card or _card(model), encoding="utf-8")
    return folder


def push_to_hub(
    model: SuperResolutionModule,
    repo_id: str,
    *,
    card: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    commit_message: str = "Upload of sr_lightning",
) -> str:
    """Uploads a network to the Hugging Face hub; needs ``sr_lightning[hub]`` and a login.

    Args:
        model: The network.
        repo_id: ``user/name``; is made if need be.
        card: See ``save_pretrained``.
        private: Whether a new repository is.
        token: Instead of the one of ``hf auth login``.
        commit_message: Of the upload.

    Returns:
        Its address.

    Raises:
        SRError: If the hub cannot be reached, or refuses the upload.
    """
    hub = _hub()
    with TemporaryDirectory() as folder:
        save_pretrained(model, folder, card)
        try:
            api = hub.HfApi(token=token)
            name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message=commit_message))
        except Exception as error:
            raise SRError(
                f"{repo_id}: the Hub refused the upload ({_reason(error)}); "
                "check the connection, and log in with hf auth login"
            ) from None


def _download(repo_id: str, revision: str | None) -> Path:
    if repo_id.count("/") != 1:
        raise CheckpointError(f"{repo_id}: no such folder, and no repository of the Hub, which is named user/name")
    hub = _hub()
    try:
        return Path(hub.hf_hub_download(repo_id, WEIGHTS, revision=revision))
    except Exception as error:
        raise CheckpointError(f"{repo_id}: no such folder, and not found on the Hub ({_reason(error)})") from None


def _reason(error: Exception) -> str:
    """Of the network, of the hub, of access: all that the user can read is its first line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _hub() -> Any:
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise ConfigError('the Hugging Face hub needs an extra: pip install "sr_lightning[hub]"') from None
    return huggingface_hub


def _card(model: SuperResolutionModule) -> str:
    about = describe(model)
    return f"""---
library_name: sr_lightning
pipeline_tag: image-to-image
tags: [super-resolution]
---
# {about["network"]} x{about["scale"]}

{count_parameters(model):,} parameters. Reads {", ".join(about["inputs"])} in [0, 1].

```python
import sr_lightning as sr

large = sr.load("user/name").upscale("photo.png")
```
"""
