"""A program in colours: nothing of it is lost, each word has its class, and what is no Python is shown as it is."""

from __future__ import annotations

import html
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import thalweg
from thalweg.report.program import program


def plain(marked: str) -> str:
    return html.unescape(re.sub(r"</?span[^>]*>", "", marked))


def test_each_word_has_its_class() -> None:
    marked = program('def f(x):  # why\n    return x < 2.5 and "a"\n')
    assert marked == (
        '<span class="key">def</span> <span class="def">f</span>(x):  <span class="com"># why</span>\n'
        '    <span class="key">return</span> x &lt; <span class="num">2.5</span> <span class="key">and</span> '
        '<span class="str">&quot;a&quot;</span>\n'
    )


@pytest.mark.parametrize("file", ["errors.py", "report/gallery.py", "report/figure.py"])
def test_nothing_of_a_program_is_lost(file: str) -> None:
    source = (Path(thalweg.__file__).parent / file).read_text(encoding="utf-8")
    assert plain(program(source)) == source
    assert 'class="str"' in program(source)


@given(st.text())
def test_any_text_is_shown_whole_and_does_nothing(source: str) -> None:
    marked = program(source)
    assert plain(marked) == source
    assert "<" not in re.sub(r'</?span( class="[a-z]{3}")?>', "", marked)
