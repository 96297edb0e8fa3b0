// Pictures pasted anywhere on the page go where dropped pictures go.
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])].filter((f) => f.type.startsWith("image/"));
  const input = document.querySelector("#pictures input[type=file]");
  if (!files.length || !input) return;
  const box = new DataTransfer();
  files.forEach((file, i) => {
    const end = file.type.split("/")[1].split("+")[0];
    const time = new Date().toISOString().slice(11, 19).replaceAll(":", "-");
    box.items.add(new File([file], `pasted-${time}-${i + 1}.${end}`, { type: file.type }));
  });
  input.files = box.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  event.preventDefault();
});

// Arrow keys walk through the list of verdicts.
document.addEventListener("keydown", (event) => {
  const row = event.target.closest?.("button.row");
  const way = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!row || !way) return;
  const all = [...row.closest("ul").querySelectorAll("button.row")];
  const next = all[all.indexOf(row) + way];
  if (!next) return;
  event.preventDefault();
  next.focus();
  next.click();
});
