"""Names are data: text that others wrote, shown on a terminal, in HTML and in Markdown as text."""
