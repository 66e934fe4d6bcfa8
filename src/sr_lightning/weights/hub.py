"""Trained networks from folders and from the Hugging Face Hub, and to there."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from sr_lightning.atomic import atomic_write, expand_home
from sr_lightning.errors import SRError
from sr_lightning.evaluation.scoring import count_parameters
from sr_lightning.models import SuperResolutionModule
from sr_lightning.weights.card import describe
from sr_lightning.weights.choose import WEIGHTS, first_line, hub
from sr_lightning.weights.portable import read_card, write_safetensors

CONFIG, CARD = "config.json", "README.md"


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
    api = hub().HfApi(token=token)
    with TemporaryDirectory() as folder:
        save_pretrained(model, folder, card)
        try:
            name = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
            return str(api.upload_folder(repo_id=name, folder_path=folder, commit_message=commit_message))
        except Exception as error:
            raise SRError(
                f"{repo_id}: the Hub refused the upload ({first_line(error)}); "
                "check the connection, and log in with hf auth login"
            ) from None


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
