"""Places for results that lie outside of a run's folder."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from sr_lightning.config import compose
from sr_lightning.training.output_places import places_outside

RUN = "/runs/a"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("callbacks.checkpoint.dirpath", "/elsewhere"), ("callbacks.checkpoint.dirpath", "out"),
        ("callbacks.checkpoint.dirpath", "s3://bucket/x"), ("callbacks.checkpoint.dirpath", f"{RUN}/../b"),
        ("callbacks.checkpoint.dirpath", "/runs/ab"), ("callbacks.checkpoint.filename", "../x"),
        ("callbacks.pictures.folder", "~/x"), ("callbacks.mine.where", "/elsewhere"), ("logger.csv.name", "/elsewhere"),
        ("logger.csv.version", "~x"), ("logger.csv.save_dir", "."), ("trainer.default_root_dir", "x"),
        ("logger.wandb.dir", "x"), ("logger.wandb.entity", "x"), ("logger.wandb.settings", {"base_url": "x"}),
        ("logger.mlflow.tracking_uri", "sqlite:////elsewhere/m.db"), ("logger.mlflow.tracking_uri", "sqlite:///m.db"),
        ("logger.mlflow.tracking_uri", f"sqlite:///{RUN}/../m.db"), ("logger.mlflow.tracking_uri", "http://stranger"),
        ("logger.mlflow.tracking_uri", f"mysql://{RUN}/m"), ("logger.mlflow.tracking_uri", f"file://host{RUN}"),
        ("logger.mlflow.artifact_location", "s3://bucket/x"), ("logger.mlflow.artifact_location", "file:///elsewhere"),
        ("logger.mlflow.registry_uri", "databricks"), ("logger.mlflow.artifact_uri", "out"),
    ],
)  # fmt: skip
def test_outside(key: str, value: Any) -> None:
    cfg = OmegaConf.create({})
    OmegaConf.update(cfg, key, value)
    config: Any = OmegaConf.to_container(cfg)
    assert list(places_outside(config, RUN)) == [(key, value)]
    assert list(places_outside({"callbacks": [config]}, RUN)) == [(f"callbacks.0.{key}", value)]


def test_inside() -> None:
    """All that the configs of the library say, and names that lead nowhere."""
    for logger in ("csv", "tensorboard", "wandb", "mlflow"):
        typed = [f"logger={logger}", "callbacks=[default,ema,skip_exploding,adjustable_clipping]", f"run_dir={RUN}"]
        config: Any = OmegaConf.to_container(compose("train", [*typed, "trainer=ddp"]), resolve=True)
        assert not list(places_outside(config, RUN))
    names = {"dirpath": f"{RUN}/x/../checkpoints", "filename": "best..ckpt", "dir": None, "entity": None, "version": 3}
    assert not list(places_outside({"callbacks": names, "logger": {}, "data": {"dir": "/x"}}, RUN))
