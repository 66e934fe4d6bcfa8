"""The notebooks run, from the first cell to the last, on small settings."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.skipif(not NOTEBOOKS, reason="notebooks are not part of the source distribution")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_RAW", str(real_data / "raw" / "derived_dng" / "nikon_dsc1339_grbg.dng"))
    monkeypatch.setenv("SR_EPOCHS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if 'f"epochs={epochs}",' in cell.source:
            cell.source = cell.source.replace("batches_per_epoch=200", "batches_per_epoch=4")
            if "batches_per_epoch" not in cell.source:
                cell.source = cell.source.replace(
                    'f"epochs={epochs}",', 'f"epochs={epochs}", "data.batches_per_epoch=4",'
                )
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output.text for output in outputs if output.get("name") == "stderr" and "Error" in output.text]
