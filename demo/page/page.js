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
