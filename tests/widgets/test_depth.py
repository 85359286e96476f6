"""HTML that no parser would come to the end of is told from what people write."""

from __future__ import annotations

import pytest

from nbagent.widgets import media
from nbagent.widgets.depth import DEPTH, too_deep

DEEP = (
    "<div>", "<b>", "<font a>", "<rt>", "<li><div>", "<div/>", "<x-y>", "<DIV>", "<div\n>",
    '<div title="</div>">', "<div><!--</div>-->", "<div><!-- </div -->", "<div></b>", "<div><style></div></style>",
    "<div><textarea></div></textarea>", "<div><table><tr><td></div></td></tr></table>", "<div><![CDATA[</div>]]>",
)  # fmt: skip


@pytest.mark.parametrize("piece", DEEP)
def test_what_is_nested_without_end_is_shown_as_its_text(piece: str) -> None:
    bomb = piece * (250_000 // len(piece))
    assert too_deep(bomb)
    assert media.as_html({"text/html": bomb, "text/plain": "a bomb"}) == '<pre class="nba-pre">a bomb</pre>'


def test_a_long_table_and_a_moderate_depth_are_not() -> None:
    row = '<tr style="text-align: right;">\n<th>1</th><td class="a b"><b>1 &lt; 2</b> a < b<br/><li></td>\n</tr>'
    table = f"<style scoped>.a > b {{ }}</style><!-- ours -->\n<table border='1' hidden>{row * 1500}</table>"
    assert not too_deep(table)
    assert not too_deep("<div>" * DEPTH + "x" + "</div>" * DEPTH)
    assert too_deep("<div>" * (DEPTH + 1))
