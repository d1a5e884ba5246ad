import base64
import hashlib
import re

import pytest

from cnnlab.report import layout


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3600, "1:00:00")])
def test_clock(seconds, text):
    assert layout.clock(seconds) == text


def test_numbers_have_three_decimals_differences_a_sign_and_nothing_is_a_dash():
    assert (layout.figure(0.12345), layout.figure(float("nan"))) == ("0.123", "–")
    assert [layout.signed(value) for value in (0.5, -0.5, 0, float("nan"))] == [
        "+0.500",
        "−0.500",
        "+0.000",
        "–",
    ]


def test_the_policy_lets_only_the_script_of_the_page_run(tmp_path):
    empty = {"lines": [], "causes": [], "pairs": [], "cautions": [], "words": {}}
    layout.write(
        "comparison.html.jinja", tmp_path / "page.html", names="ab", links=["", ""], **empty
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    (script,) = re.findall("<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (allowed,) = re.findall(r"script-src &#39;sha256-(.*?)&#39;", page)
    assert allowed.replace("&#43;", "+") == digest
    assert "default-src &#39;none&#39;" in page


def test_the_styles_survive_the_template_engine():
    css = layout.read("page.css")
    assert css.count("{") == css.count("}")
    assert not re.search(r"\{[{%#]", css)  # Jinja would take it for its own
