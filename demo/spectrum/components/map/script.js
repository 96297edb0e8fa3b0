// A cell of the map chooses its matrix; a slider tells its ratio when it is let go.
element.addEventListener("click", (event) => {
  const cell = event.target.closest("button[data-site]");
  if (!cell) return;
  for (const other of element.querySelectorAll("button[aria-pressed=true]"))
    other.setAttribute("aria-pressed", "false");
  cell.setAttribute("aria-pressed", "true");
  trigger("select", { site: cell.dataset.site });
});

element.addEventListener("input", (event) => {
  if (event.target.type !== "range") return;
  event.target.closest("label").querySelector("output").textContent = event.target.value;
});

element.addEventListener("change", (event) => {
  if (event.target.type !== "range") return;
  trigger("release", { site: event.target.dataset.site, ratio: Number(event.target.value) });
});

element.addEventListener("keydown", (event) => {
  const cell = event.target.closest("button[data-site]");
  const way = { ArrowDown: [0, 1], ArrowUp: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
  if (!cell || !way) return;
  event.preventDefault();
  const row = cell.closest("tr");
  const place = [...row.querySelectorAll("button")].indexOf(cell);
  const rows = [...element.querySelectorAll("tbody tr")];
  const next = rows[rows.indexOf(row) + way[1]]?.querySelectorAll("button[data-site]");
  if (!next?.length) return;
  (way[0] ? next[place + way[0]] : next[Math.min(place, next.length - 1)])?.focus();
});
