element.addEventListener("keydown", (event) => {
  const row = event.target.closest("button.row");
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!row || !way) return;
  const all = [...element.querySelectorAll("button.row")];
  const next = all[all.indexOf(row) + way];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.click();
});
