"""A Python program as HTML that is easy to read: keywords, strings, numbers, comments and what is defined have colours.

>>> program("x = 1  # one")
'x = <span class="num">1</span>  <span class="com"># one</span>'
>>> program("def f(: no Python at all")                         # shown as it is, escaped
'def f(: no Python at all'

The text is read by Python's own tokenizer, when the page is written: the page needs no script and no network for it.
"""

from __future__ import annotations

import io
import keyword
import tokenize

from thalweg.report.markup import text

CLASSES = {tokenize.COMMENT: "com", tokenize.NUMBER: "num", tokenize.STRING: "str"}
STRING_PARTS = tuple(
    number for name in ("FSTRING_START", "FSTRING_MIDDLE", "FSTRING_END") if (number := vars(tokenize).get(name))
)
"""What an f-string is made of since Python 3.12."""


def program(source: str) -> str:
    """The program, escaped, its words in ``span`` elements of the classes com, num, str, key and def; for a ``pre``."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (tokenize.TokenError, SyntaxError):
        return text(source)
    starts = [0]
    for line in io.StringIO(source):  # lines as the tokenizer counts them
        starts.append(starts[-1] + len(line))
    written, at, before = [], 0, ""
    for token in tokens:
        kind = _kind(token, before)
        before = token.string if token.type == tokenize.NAME else ""
        if not kind:
            continue
        first, last = (starts[line - 1] + column for line, column in (token.start, token.end))
        written += [text(source[at:first]), f'<span class="{kind}">{text(source[first:last])}</span>']
        at = last
    return "".join([*written, text(source[at:])])


def _kind(token: tokenize.TokenInfo, before: str) -> str:
    if token.type == tokenize.NAME:
        return "key" if keyword.iskeyword(token.string) else "def" if before in ("def", "class") else ""
    return "str" if token.type in STRING_PARTS else CLASSES.get(token.type, "")
