// A heading of a table sorts its rows; once more, and the order turns round. Without this script
// the table is the same, in the order in which it was written.
for (const table of document.querySelectorAll("table.sortable, table.dataframe")) {
  const body = table.tBodies[0];
  const heads = table.tHead && table.tHead.rows.length === 1 ? [...table.tHead.rows[0].cells] : [];
  if (!body || body.rows.length < 3 || table.querySelector("[rowspan], [colspan]")) continue;
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => {
        const cell = row.cells[column];
        const text = (cell.dataset.value ?? cell.textContent).trim();
        const number = Number(text.replace("−", "-").replace(/[,%\s]/g, ""));
        return { row, text, number, missing: ["", "–", "NaN", "None"].includes(text) };
      });
      keyed.sort((a, b) => {
        if (a.missing || b.missing) return a.missing - b.missing; // last, whichever the order
        const numbers = !Number.isNaN(a.number) && !Number.isNaN(b.number);
        const order = numbers ? a.number - b.number : a.text.localeCompare(b.text, "en", { numeric: true });
        return rising ? order : -order;
      });
      body.append(...keyed.map((each) => each.row));
    });
  });
}
