"""Where everything stands on the page of a run: findings first, then the result, how it was learned, and what it was.

>>> html = render(run, history, verdict)
>>> write("runs/digits-1/page.html", html)

A section with nothing in it is left out, so a run still going has a short page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from thalweg.diagnose import Verdict
from thalweg.errors import InputError
from thalweg.files import replacing
from thalweg.history import History
from thalweg.report import bundle, sections
from thalweg.report.curves import clock
from thalweg.report.evidence import findings
from thalweg.report.interventions import interventions
from thalweg.report.markup import data, text
from thalweg.report.run import RunReport
from thalweg.report.sheet import Section, Sheet

MARK = (
    '<svg viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><g fill="none" stroke="currentColor" '
    'stroke-linecap="round"><path d="M2 7c8 0 7 18 14 18S22 7 30 7" stroke-width="2.6"/>'
    '<path d="M8 4c6 0 4 13 8 13s2-13 8-13" stroke-width="1.6" opacity=".45"/></g>'
    '<circle cx="16" cy="25" r="3" fill="currentColor"/></svg>'
)
ICON = MARK.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" color="#0b6478" ').replace(
    "currentColor", "#0b6478"
)
PICTURES = "img-src data: blob:"
BRAND = f'<span class="brand">{MARK} thalweg</span>'
HTML = '<html lang="en">'
ALONE = "form-action 'none'"
LIBRARY = '<script type="application/octet-stream" id="plotly">'


def render(run: RunReport, history: History, verdict: Verdict) -> str:
    """The page as HTML. The same run gives the same text."""
    sheet = Sheet()
    written = (
        None if run.folds else findings(sheet, verdict, so_far=run.status.startswith("running")),
        sections.result(run, history),
        sections.folds(sheet, run),
        sections.learning(sheet, run, history),
        interventions(run, clock(history)),
        sections.signals(sheet, history),
        sections.rate(sheet, run),
        sections.errors(sheet, run),
        sections.choices(run),
        sections.network(run),
        sections.data(run.data),
        sections.settings(run),
    )
    state, _, why = (text(part.strip()) for part in run.status.partition(":"))
    subtitle = " · ".join(text(part) for part in (run.task, run.data.get("name", ""), run.created) if part)
    reason = f'<p class="subtitle">{why[:1].upper()}{why[1:]}.</p>' if why else ""
    version = text(run.environment.get("thalweg", ""))
    return document(
        run.name,
        heading=f"""<h1>{text(run.name)} <span class="status {state.split(" ")[0]}">{state}</span></h1>
<p class="subtitle">{subtitle}</p>{reason}""",
        written=[section for section in written if section is not None],
        sheet=sheet,
        footer=f"Made by thalweg {version} from the run's own history. This page loads nothing from elsewhere.",
    )


def document(
    name: str, *, heading: str, written: Sequence[Section], sheet: Sheet, footer: str, script: str = ""
) -> str:
    """A whole page around its sections: one file with its own style, script and chart library.

    A page that moves brings a ``script`` of its own, written by us and free of anybody's text: ``thalweg.drawn`` is a promise
    that its charts are there, ``thalweg.figure(key)`` the plain data of one, ``thalweg.redraw(key, figure)`` draws it anew.
    """
    links = "".join(f'<a href="#{section.key}">{text(section.title)}</a>' for section in written)
    body = "".join(section.html for section in written)
    room = files("thalweg.report")
    style, ours = ((room / file).read_text(encoding="utf-8") for file in ("page.css", "page.js"))
    figures = data(sheet.figures)
    # A script runs only with the nonce, which nobody can know who has not seen the whole page.
    nonce = hashlib.sha256((name + body + figures + script).encode()).hexdigest()[:32]
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'unsafe-inline'; {PICTURES}; "
        f"base-uri 'none'; {ALONE}"
    )
    own = f'\n<script nonce="{nonce}">{script}</script>' if script else ""
    return f"""<!doctype html>
{HTML}
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(name)} · thalweg</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#{written[0].key}">Skip to the {text(written[0].title.lower())}</a>
<header>
<div class="bar">{BRAND}
<button type="button" id="theme" aria-label="Colours: as the system">◐ Auto</button></div>
<div id="heading">{heading}</div>
<nav aria-label="Sections"{"" if len(written) > 1 else " hidden"}>{links}</nav>
</header>
<main>
<noscript><p class="notice">Charts need JavaScript; the tables hold the numbers.</p></noscript>
<p class="notice" id="notice" role="status" hidden></p>
<div id="told">{body}</div>
</main>
<footer>{footer}</footer>
<script type="application/json" id="figures">{figures}</script>
{LIBRARY}{bundle.packed() if sheet.figures else ""}</script>
<script nonce="{nonce}">{ours}</script>{own}
</body>
</html>
"""


def served(page: str, *, home: str, live: int = 0) -> str:
    """A page as ``thalweg view`` gives it out: with a way back to the list at ``home``.

    Where it is ``live`` it asks every so many milliseconds for what is new. A page not made by ``document`` stays as it is.
    """
    page = page.replace(BRAND, f'<a class="brand" href="{text(home)}">{MARK} thalweg: all runs</a>', 1)
    page = page.replace(PICTURES, f"{PICTURES} 'self'", 1)
    if not live:
        return page
    page = page.replace(ALONE, f"{ALONE}; connect-src 'self'", 1)
    return page.replace(HTML, f'<html lang="en" data-live="{live}">', 1)


def light(page: str) -> str:
    """A page without the chart library: what one that is open needs to bring itself up to date."""
    before, found, after = page.partition(LIBRARY)
    return before + found + after[after.find("</script>") :] if found else page


def write(path: str | Path, page: str) -> None:
    """Puts a page where a reader sees the old one or the new one, never half of one.

    Raises ``InputError`` where the file cannot be written.
    """
    path = Path(path)
    if not path.name:
        raise InputError(f'"{path}" names no file to write: give one, as in page.html')
    try:
        with replacing(path) as beside:
            beside.write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; name a file in a folder that exists") from error
