"""Tables as Markdown, as LaTeX, and as plain text for terminals."""

from sr_lightning.evaluation.scoring import markdown
from sr_lightning.reports.tables import DASH, MINUS, Cell, Table


def to_markdown(table: Table) -> str:
    """The table with its caption above it."""

    def mark(cell: Cell) -> str:
        text = escape_markdown(cell.text)
        text = {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(cell.rank, text) if text else ""
        return f"{text} ({escape_markdown(_one_line(cell.remark))})" if cell.remark else text

    columns = [escape_markdown(column) for column in table.columns]
    rows = [dict(zip(columns, map(mark, row), strict=True)) for row in table.rows]
    return f"{escape_markdown(table.caption)}\n\n{markdown(rows)}\n"


def to_text(table: Table) -> str:
    """The table in aligned columns, the best of each with a star, its caption above it."""

    def mark(cell: Cell) -> str:
        text = f"{cell.text}{'*' if cell.rank == 1 else ''}"
        return f"{text} {_one_line(cell.remark)}" if cell.remark else text

    rows = [table.columns, *([*map(mark, row)] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([table.caption, "", lines[0], "-" * len(lines[0]), *lines[1:], ""])


def to_latex(table: Table) -> str:
    """A ``tabular`` for the booktabs package."""

    def mark(cell: Cell) -> str:
        text = escape_latex(cell.text)
        text = {1: rf"\textbf{{{text}}}", 2: rf"\underline{{{text}}}"}.get(cell.rank, text)
        return rf"{text} {{\scriptsize {escape_latex(_one_line(cell.remark))}}}" if cell.remark else text

    lines = [" & ".join(map(mark, row)) + r" \\" for row in table.rows]
    head = " & ".join(map(escape_latex, table.columns)) + r" \\"
    body = "\n".join([r"\toprule", head, r"\midrule", *lines, r"\bottomrule"])
    form = "l" + "r" * (len(table.columns) - 1)
    tabular = f"\\begin{{tabular}}{{{form}}}\n{body}\n\\end{{tabular}}"
    return f"\\begin{{table}}\n\\caption{{{escape_latex(table.caption)}}}\n{tabular}\n\\end{{table}}\n"


def escape_markdown(text: str) -> str:
    r"""Text that a Markdown table prints as it is.

    Example:
        >>> print(escape_markdown("<b>&_|"))
        &lt;b>&amp;\_\|
    """
    text = text.replace("&", "&amp;").replace("<", "&lt;")
    return "".join("\\" + c if c in "\\`*_|[]" else " " if c in "\r\n" else c for c in text)


def escape_latex(text: str) -> str:
    r"""Text that LaTeX prints as it is.

    Example:
        >>> print(escape_latex("a_b & 5 %"))
        a\_b \& 5 \%
    """
    table = {c: f"\\{c}" for c in "&%$#_{}"} | {
        "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$",
        "±": r"$\pm$", "∞": r"$\infty$", "↑": r"$\uparrow$", "↓": r"$\downarrow$",
        MINUS: "$-$", DASH: "--", "\n": " ", "|": "$|$",
        "[": "{[}", "]": "{]}",
    }  # fmt: skip
    return "".join(table.get(c, c) for c in text)


def _one_line(text: str) -> str:
    return ", ".join(text.splitlines())
