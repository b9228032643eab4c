"""Tables as Markdown and as LaTeX. Whatever a study calls its optimizers stays text in both."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from adabelief_lab.report.text_tables import Printed

# Characters that mean something in Markdown, with GitHub's tables and formulas.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>|$~#&])")

# What LaTeX reads as commands, and what the fonts of pdflatex do not have.
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    **{sign: f"\\{sign}" for sign in "$&%#_"},
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "–": "--",
    "·": r"$\cdot$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
    "ε": r"$\epsilon$",
    "λ": r"$\lambda$",
}


def markdown(table: Printed) -> str:
    """A table of GitHub's Markdown under its caption; the best value is bold."""
    rules = ["---" if column in table.left else "---:" for column in range(len(table.head))]
    rows = _rows(table, _marked, "**{}**")
    lines = [[_marked(cell) for cell in table.head], rules, *rows]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_marked(table.caption)}\n\n{text}\n"


def latex(table: Printed) -> str:
    """A `table` with the rules of booktabs; the best value is bold."""
    columns = "".join("l" if column in table.left else "r" for column in range(len(table.head)))
    rows = _rows(table, _escaped, r"\textbf{{{}}}")
    return "\n".join(
        [
            r"% \usepackage{booktabs}",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escaped(table.caption)}}}",
            rf"\label{{tab:{table.name}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            _line([_escaped(cell) for cell in table.head]),
            r"\midrule",
            *[_line(cells) for cells in rows],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _rows(table: Printed, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    return [
        [
            bold.format(escape(cell)) if (row, column) in table.best else escape(cell)
            for column, cell in enumerate(cells)
        ]
        for row, cells in enumerate(table.rows)
    ]


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _marked(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _escaped(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))
