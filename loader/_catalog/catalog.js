"use strict";
(() => {
  // copy buttons
  for (const block of document.querySelectorAll("[data-copy]")) {
    const text = block.querySelector("code");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.setAttribute("aria-label", `Copy: ${block.dataset.copy}`);
    const said = document.createElement("span");
    said.className = "unseen";
    said.setAttribute("role", "status");
    block.append(button, said);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text.textContent);
      } catch {  // not allowed here
        getSelection().selectAllChildren(text);
        document.execCommand("copy");
      }
      button.textContent = said.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    });
  }

  // the table of datasets
  const table = document.getElementById("datasets");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const texts = new Map(rows.map((row) => [row, `${row.textContent} ${row.dataset.text}`.toLowerCase()]));
  const search = document.getElementById("search");
  const count = document.getElementById("count");
  const all = count.textContent;
  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every((word) => texts.get(row).includes(word));
      shown += !row.hidden;
    }
    const text = words.length ? `${shown.toLocaleString("en")} of ${all}` : all;
    if (count.textContent !== text) count.textContent = text;
    document.getElementById("none").hidden = shown > 0;
    table.hidden = shown === 0;
  };
  search.addEventListener("input", filter);
  document.getElementById("clear").addEventListener("click", () => {
    search.value = "";
    filter();
    search.focus();
  });
  document.getElementById("tools").hidden = false;
  filter();  // the browser may have kept what was typed

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const heads = [...table.tHead.rows[0].cells];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const isNumber = head.dataset.sort === "number";
      rows.sort((first, second) => {
        const [a, b] = [value(first, column), value(second, column)];
        if (!a || !b) return !a - !b;  // what is missing comes last
        return (up ? 1 : -1) * (isNumber ? a - b : collator.compare(a, b));
      });
      body.append(...rows);
    });
  });
})();
