"""Makes a page of every notebook: its text, its code, and the outputs that it holds.

The folder is ``notebooks``, or the one that ``SR_NOTEBOOKS`` names, as one of executed copies.
"""

import json
import os
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages; mkdocs calls it."""
    root = Path(config.config_file_path).parent
    for path in sorted((root / os.environ.get("SR_NOTEBOOKS", "notebooks")).glob("*.ipynb")):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n\n".join(map(_markdown, cells)).replace(".ipynb)", ".md)")
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
    return files


def _markdown(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([f"```python\n{source}\n```", *filter(None, map(_output, cell["outputs"]))])


def _output(output: dict[str, Any]) -> str:
    """Pictures and what was printed; neither warnings nor progress."""
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            picture = "".join(data[kind]).replace("\n", "")
            return f'<div class="scroll"><img alt="" src="data:{kind};base64,{picture}"></div>'
    text = "".join(data.get("text/plain", output.get("text", "")))
    return "" if output.get("name") == "stderr" or not text else f"```text\n{text}\n```"
