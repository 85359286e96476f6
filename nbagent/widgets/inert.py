r"""Markdown that nothing acts on: not the page that shows it, not pandoc, not TeX where nbconvert exports to it.

Pandoc knows more markdown than a page does: ``\input{file}`` passes into the TeX as it stands, as does code marked
``{=latex}``; a head between ``---`` disappears; a fence that is never closed is no code, so that what was quoted acts.
nbconvert adds two: ``\\(`` begins a formula, and ``<cite data-cite=…>``, also in code, is a command, its entities read.
`texless` writes a block so that all dialects read the same words, and formulas stay formulas where each of their
commands is known to do nothing but set a sign. What is in doubt counts as text: there a backslash may stand doubled.

It guarantees: outside code no command of TeX is left but those of `_KNOWN`, and code is what pandoc takes for code as
well. Below: nothing. Above: `markdown`, `static`.
"""

from __future__ import annotations

import re

_SPECIAL = re.compile(r"([\\`*_\[\]!#|~<>&:${^])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_HEAD = re.compile(r"((?:\A|\n[ \t>]*\n)[ \t>]*)---(?=[ \t]*$)", re.MULTILINE)
_COLUMNS = re.compile(r"^([ \t>]*)(?=--+[ \t]+-[- \t]*$)", re.MULTILINE)
"""The line that makes a table of what stands around it, for pandoc alone."""
_OPENS = re.compile(r"(?<!\\)((?:\\\\)*?)\\\\(?=[(\[])")
_CITES = re.compile(r"<(?=cite\b)", re.IGNORECASE)
_SUSPECT = re.compile(
    r"(?i:<cite\b)|\\\\[(\[]|--[ \t]+-|\\[A-Za-z]|[${^~]|^%|^[ \t>]*-{3}[ \t]*$|^ {0,3}(?:```|~~~)", re.MULTILINE
)


def escaped(text: str) -> str:
    """`text` with nothing left for a markdown parser to act on."""
    inert = _SPECIAL.sub(lambda found: _ENTITIES.get(found[1], "\\" + found[1]), text)
    return _unopened(_COLUMNS.sub(r"\1\\", _HEAD.sub(r"\1\\---", inert)))


def _unopened(text: str) -> str:
    """Text in which no formula begins by two backslashes: one of them is an entity."""
    return _OPENS.sub(r"\1&#92;", text)


def _uncited(text: str) -> str:
    """Text that cites nothing: within code nothing can be escaped, so a sign that nobody sees stands in the tag."""
    return _CITES.sub("<\u200b", text)


def fenced(text: str, language: str = "") -> str:
    """`text` as a block of code that it cannot leave."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language if _LANGUAGE.fullmatch(language) else ''}\n{_uncited(text.rstrip())}\n{fence}"


_LANGUAGE = re.compile(r"[\w+#.-]*", re.ASCII)


def texless(block: str) -> str:
    """A block of markdown that is harmless in a page, made harmless in TeX as well."""
    if not _SUSPECT.search(block):
        return block
    parts: list[str] = []
    rest, nested = block, bool(_NESTING.match(block))
    while (opening := (_LEFT if nested else _FENCE).search(rest)) is not None:
        closing = re.compile(rf"^ {{0,3}}{opening['fence']}{opening['fence'][0]}*[ \t]*$", re.MULTILINE)
        end = closing.search(rest, opening.end())
        code = rest[opening.end() : end.start() if end else len(rest)]
        parts += [_prose(rest[: opening.start()]), fenced(code.removeprefix("\n"), opening["language"])]
        rest = rest[end.end() :] if end else ""
    return "\n\n".join(part.strip("\n") for part in [*parts, _prose(rest)] if part.strip())


_NESTING = re.compile(r"(?:\t| {4}|\s{0,3}(?:[-*+>]|\d{1,9}[.)]))")
"""What a list, a quote and indented code begin with: a fence in them is indented."""
_MARKS = r"(?P<fence>`{3,}(?=[^`\n]*$)|~{3,})[ \t]*(?P<language>[^\s`]*)[^\n]*$"
_LEFT, _FENCE = re.compile(f"^{_MARKS}", re.MULTILINE), re.compile(f"^ {{0,3}}{_MARKS}", re.MULTILINE)

# ---------------------------------------------------------------- what is no fence at the left

_TOKEN = re.compile(
    r"""
    (?P<gap>\n[ \t>]*(?=\n))
    | (?P<inner>^[ \t>]*(?P<marks>`{3,})[\w+#.-]*\n(?:(?![^\n]*```)[^\n]*\S[^\n]*\n)*[ \t>]*(?P=marks)[ \t]*$)
    | (?P<code>(?P<ticks>`+)(?!`)[^\n|]{0,400}?(?<!`)(?P=ticks)(?!`))
    | (?P<tick>`+)
    | (?P<opens>\\\\(?=[(\[]))
    | (?P<pair>\\[^A-Za-z\n])
    | (?P<command>\\(?=[A-Za-z]))
    | (?P<display>\$\$[^$`]+\$\$)
    | (?P<formula>\$(?=[^\s$])[^$`\n]*[^$`\s\\]\$(?![\d$]))
    | (?P<strike>(?<!~)~~(?!~))
    | (?P<mark>[${^~]|\A%)
    | (?P<tag><(?=[A-Za-z/!?])(?!https?:|mailto:))
    | (?P<other>[<\[])
    """,
    re.VERBOSE | re.MULTILINE,
)


def _prose(text: str) -> str:
    sure = True  # that pandoc takes for code what a page does, since nothing before it in its paragraph is in doubt

    def write(found: re.Match[str]) -> str:
        nonlocal sure
        kind, said = found.lastgroup, found[0]
        match "code" if kind == "ticks" else "inner" if kind == "marks" else kind:
            case "gap":
                sure = True
            case "code" | "inner" if not sure:
                return _unopened(_doubled(said).replace("`{", "`\\{"))
            case "tick" | "other":
                sure = False
            case "command":
                return "\\\\"
            case "opens":
                return "&#92;"
            case "tag":
                return "&lt;"
            case "mark":
                return "\\" + said
            case "display" | "formula" if not sets_signs(said.strip("$")):
                return _unopened(_doubled(said).replace("$", "\\$").replace("{", "\\{"))
            case _:
                pass
        return said

    return _uncited(_COLUMNS.sub(r"\1\\", _HEAD.sub(r"\1***", _TOKEN.sub(write, text))))


def _doubled(text: str) -> str:
    return re.sub(r"(?<!\\)(?:\\\\)*\\(?=[A-Za-z])", lambda found: found[0] + "\\", text)


# ---------------------------------------------------------------- formulas

_NAMES = """
    alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi varpi rho varrho
    sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega
    frac dfrac tfrac sqrt sum prod int iint iiint oint lim limsup liminf sup inf max min arg det dim ker gcd deg exp log
    ln lg sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh binom pmod bmod mod to mapsto leftarrow rightarrow
    Leftarrow Rightarrow leftrightarrow Leftrightarrow longrightarrow implies iff uparrow downarrow in notin ni subset
    subseteq supset supseteq cup cap setminus emptyset varnothing forall exists nexists neg lnot land lor wedge vee
    leq le geq ge neq ne ll gg approx sim simeq cong equiv propto prec succ perp parallel mid pm mp times div cdot ast
    star circ bullet oplus otimes odot cdots ldots dots vdots ddots infty partial nabla hbar ell Re Im aleph prime angle
    degree triangle langle rangle lfloor rfloor lceil rceil vert Vert left right big Big bigg Bigg quad qquad hat bar
    vec dot ddot tilde widehat widetilde overline underline overbrace underbrace mathbb mathbf mathcal mathfrak mathit
    mathrm mathsf mathtt boldsymbol operatorname text textbf textit begin end top bot models vdash colon limits
"""
_KNOWN = set(_NAMES.split())
_SHAPES = {"matrix", "pmatrix", "bmatrix", "vmatrix", "Vmatrix", "cases", "aligned", "gathered", "split"}


def sets_signs(formula: str) -> bool:
    """Whether a formula is whole, and all its commands are known."""
    if re.search(r"\^\^|(?<!\\)[%#]|\n[ \t>]*\n", formula):
        return False
    if not set(re.findall(r"\\([A-Za-z]+)", formula.replace("\\\\", " "))) <= _KNOWN:
        return False
    opened: list[str] = []
    for what, shape, brace in re.findall(r"\\(begin|end)\b(?:\{(\w+)\})?|((?<!\\)[{}])", formula):
        if what == "begin" or brace == "{":
            opened.append(shape or brace)
        elif not opened or opened.pop() != (shape or "{"):
            return False
    shapes = re.findall(r"\\(?:begin|end)\b(?:\{(\w+)\})?", formula)
    return not opened and set(shapes) <= _SHAPES and ("&" not in formula or bool(shapes))
