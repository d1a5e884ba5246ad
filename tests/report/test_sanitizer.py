"""What a cell put out, in a page: text and tables, and nothing that acts."""

import re

import pytest
from bs4 import BeautifulSoup
from hostile_names import NAMES

from cnnlab.report import sanitizer


def test_nothing_that_acts_stays_of_any_name():
    """Names as they are, which nothing of ours would write: the second wall."""
    for name in [*NAMES, "".join(NAMES)]:
        for around in ("{}", "<table><tr><td>{}</td></tr></table>", '<b title="{}">x</b>'):
            cleaned = sanitizer.html(around.replace("{}", name))
            page = BeautifulSoup(f"<body>{cleaned}", "html.parser")
            tags = {element.name for element in page.find_all()} - {"body"}
            assert tags <= sanitizer.TAGS, name
            for element in page.find_all():
                assert not [key for key in element.attrs if key.startswith("on")]
                assert element.get("href", "#").startswith("#")
                assert set(element.attrs) <= {"class", "id", "href", "start", "style"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("<p class='x' id='y' style='z'>a</p>", '<p class="x">a</p>'),
        ('<h2 id="a">A</h2>', '<h2 id="a">A</h2>'),
        ('<a href="#a" target="_top">A</a>', '<a href="#a">A</a>'),
        ('<a href="https://x.invalid">A</a>', "<a>A</a>"),
        ('<a href="page.html">A</a>', "<a>A</a>"),
        ('a<img src="data:image/png;base64,iVBORw0KGgo=" alt="b">c', "ac"),
        ('<th colspan="2" scope="col">a</th>', "a"),  # no cell without its table
        ("a<script>b</script><style>c</style>d", "ad"),
        ("a<svg><text>b</text></svg><template>c</template>d", "ad"),
        ("a<!-- b -->c", "ac"),
        ("1 < 2 & 3", "1 &lt; 2 &amp; 3"),
    ],
)
def test_by_hand(source, expected):
    assert sanitizer.html(source) == expected


def test_the_table_of_layers_stays_one():
    """Of Keras, by rich: it needs characters of one width and lines without a gap."""
    drawn = (
        '<pre style="white-space:pre;overflow-x:auto;line-height:normal;font-family:monospace">'
        '<span style="font-weight:bold">┃</span> <span style="color:#00af00">896</span>\n</pre>'
    )
    assert sanitizer.html(drawn) == drawn


@pytest.mark.parametrize(
    "style",
    ["position:fixed;top:0", "background:url(http://x)", "color:url(x)}</style><b>", "--a:b"],
)
def test_no_style_covers_or_loads(style):
    cleaned = sanitizer.html(f'<pre style="{style}">a</pre>')
    assert not re.search(r"position|http|</?b|--", cleaned)


def test_a_table_of_pandas_keeps_its_cells():
    table = '<table border="1" class="dataframe"><thead><tr style="x"><th></th><th>a</th></tr>'
    table += '</thead><tbody><tr><th rowspan="2">r</th><td>1</td></tr></tbody></table>'
    cleaned = sanitizer.html(table)
    assert 'class="dataframe"' in cleaned
    assert '<th rowspan="2">r</th><td>1</td>' in cleaned
