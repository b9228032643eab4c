"use strict";
// Heads of sortable tables become buttons: a click or a key sorts, another one turns it around.
(() => {
  // A number where there is one, in plain digits or as people read it; null where nothing is known.
  const key = (cell) => {
    const text = cell.dataset.value ?? cell.textContent.trim();
    if (text === "" || text === "–") return null;
    const value = Number(text.replace("−", "-").replace(/,/g, ""));
    return Number.isNaN(value) ? text : value;
  };

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
    : String(a).localeCompare(String(b), undefined, { numeric: true }));

  // What is not known stays at the end, whichever way.
  const sort = (body, column, sign) => {
    const rows = [...body.rows].filter((row) => !row.classList.contains("group"));
    const keyed = rows.map((row) => ({ row, value: key(row.cells[column]) }));
    const known = keyed.filter(({ value }) => value !== null);
    known.sort((a, b) => sign * compare(a.value, b.value));
    const unknown = keyed.filter(({ value }) => value === null);
    body.append(...[...known, ...unknown].map(({ row }) => row));
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      const arrow = document.createElement("span");
      arrow.className = "arrow";
      arrow.ariaHidden = "true";
      button.firstChild.after(arrow);
      head.append(button);
      button.addEventListener("click", () => {
        const rising = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", rising ? "ascending" : "descending");
        for (const body of table.tBodies) sort(body, column, rising ? 1 : -1);
      });
    });
  }
})();
