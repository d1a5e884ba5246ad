"""Names that want to be more than names: for classes, files, runs and whatever else people name.

One list for every test of what shows a name: pages, cards, notebooks, the app, tables, terminals.
"""

_RAW = """\
<meta http-equiv=refresh content="0;url=https://hostile.invalid/meta">
<meta http-equiv="refresh" content="0;url=data:text&#47;html,<h1>gone">
<img src=x onerror=alert(1)>
<img src="https://hostile.invalid/img.png">
<IMG SRC=javascript:alert(2)>
<script>alert(3)</script>
<script src=//hostile.invalid/s.js></script>
</script><script>alert(4)</script>
</title><script>alert(5)</script>
</textarea><img src=x onerror=alert(6)>
</style><style>body{display:none}
<style>*{display:none}</style>
<base href="https://hostile.invalid/">
<form action="https://hostile.invalid/f"><input name=p autofocus onfocus=alert(7)>
<iframe src="https://hostile.invalid/frame"></iframe>
<iframe srcdoc="<script>alert(8)</script>">
<object data="https://hostile.invalid/o"></object>
<embed src="https://hostile.invalid/e">
<svg onload=alert(9)><script>alert(10)</script></svg>
<svg><a xlink:href="javascript:alert(11)"><text y=9>x
<math><mi xlink:href="data:x,<script>alert(12)</script>">
<link rel=stylesheet href=https://hostile.invalid/l.css>
<template><img src=x onerror=alert(13)></template>
<noscript><p title="</noscript><img src=x onerror=alert(14)>">
<!-- a comment -->
<!--
<![CDATA[<img src=x onerror=alert(15)>]]>
<?xml version="1.0"?>
<a href="javascript:alert(16)">click</a>
<details open ontoggle=alert(17)>
<b>bold</b> <i
</td></tr></table><h1>out of the table
</div></main></body></html>
" onmouseover="alert(18)
' autofocus onfocus='alert(19)
"><img src=x onerror=alert(20)>
&lt;img src=x onerror=alert(21)&gt;
&#60;script&#62;alert(22)&#60;/script&#62;
&amp;amp;
[click](javascript:alert(23))
[click](https://hostile.invalid/link)
![pixel](https://hostile.invalid/pixel.png)
![x](data:image/svg+xml,<svg/onload=alert(24)>)
[ref]: https://hostile.invalid/ref
[ref]
[^1]: a footnote
<https://hostile.invalid/auto>
https://hostile.invalid/bare
www.hostile.invalid
someone@hostile.invalid
a | b | c
| --- | --- |
`code` ``and`` ```more
# heading
> quote
- item
1. one
+ plus
---
===
***bold*** __under__ ~~gone~~
_private_ and snake_case
: definition
    four spaces
$x$
$$\\frac$$
\\(x\\) and \\[y\\]
\\begin{align}x\\end{align}
\\frac \\$ \\
@@0@@ ~T ~D
{{ config }} {% raw %} ${7*7} #{7*7}
%s %(x)d {0} {name}
=1+1
=cmd|' /C calc'!A0
+1
-1
@SUM(A1)
'=1
＝1
a;=1
_hidden
.dots..
NaN
None
007
1e3
"quoted"
it's
🙂 👩‍👩‍👧
e\u0301 \u0b15\u0b4d\u0b37 Zalgo\u0310\u0353\u0328
日本語 한국어 العربية עברית
\u202egnp.exe\u202c
\u2066isolated\u2069 \u200e\u200f
zero\u200bwidth\ufeff\u2060joined\u00ad
no\u00a0break
\u2028line\u2029
two\\nlines
"""
# A backslash stands once above where Python would have read it; what no line can hold stands here.
NAMES = [
    *(line for line in _RAW.split("\n") if line),
    "two\nlines",
    "a\r\nb",
    "tab\there",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://hostile.invalid\x1b\\link\x1b]8;;\x1b\\",
    "\x07bell\x08\x7f",
    " space before and after ",
    "x" * 255,
    "<b>" * 85,
    "é" * 127,
]
NAMES = list(dict.fromkeys(NAMES))
# What may name a class folder: no separator, at most 255 bytes, none that is hidden.
FOLDERS = [
    name
    for name in NAMES
    if "/" not in name and len(name.encode()) <= 255 and not name.startswith(".")
]
# What a table may give as a label: no space around it, nothing that does not show.
LABELS = [name for name in NAMES if name.isprintable() and name == name.strip()]
