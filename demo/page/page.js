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

// Gradio's drop-downs open when they are tabbed to, open again when they are left, and drop the
// focus once something is chosen. Here Tab passes by, a click or an arrow opens, and focus stays.
let key = "", choosing = false, quiet = false;
const dropdown = (event) => event.target.matches?.("input[role=combobox]") && event.target;
addEventListener("pointerdown", (event) => {
  [key, choosing] = ["", Boolean(event.target.closest?.("[role=option]"))];
  const box = dropdown(event);
  if (box && box === document.activeElement && box.ariaExpanded !== "true") box.blur();
}, true);
addEventListener("keydown", (event) => {
  [key, choosing] = [event.key, Boolean(dropdown(event)) && event.key === "Enter"];
  if (dropdown(event) && ["Tab", "Shift"].includes(key)) event.stopPropagation();
}, true);
addEventListener("focus", (event) => {
  if (dropdown(event) && (quiet || key === "Tab")) event.stopPropagation();
}, true);
addEventListener("blur", (event) => {
  const box = choosing && dropdown(event);
  if (!box) return;
  choosing = false;
  setTimeout(() => {
    if (document.activeElement !== document.body) return;
    quiet = true;
    box.focus({ preventScroll: true });
    quiet = false;
  });
}, true);

// Its sliders tell nothing of arrow keys, and send what was typed before it is within their bounds.
addEventListener("change", (event) => {
  const input = event.target;
  const typed = input.matches?.("input[data-testid=number-input]");
  if (!typed && !(key && input.matches?.("input[data-testid=range-input]"))) return;
  const within = Math.min(Math.max(input.value, input.min), input.max);
  if (typed && (input.value === "" || within !== Number(input.value))) {
    input.value = within;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  input.dispatchEvent(new Event("pointerup", { bubbles: true }));
}, true);
// What is typed into a number takes the place of what it held.
let entered = null; // a mouse button that is down places the caret once more
addEventListener("focusin", ({ target }) => {
  entered = target.matches?.("input[type=number]") ? target : null;
  entered?.select();
});
addEventListener("mouseup", () => {
  entered?.select(); // at once: a timer would come after the first keys
  entered = null;
});
addEventListener("keydown", () => (entered = null), true);

// The address names the tab that was chosen, so that a page that is loaded again opens it.
addEventListener("click", ({ target }) => {
  const tab = target.closest?.("[role=tab]");
  if (!tab) return;
  const address = new URL(location);
  address.searchParams.set("tab", tab.textContent.trim().toLowerCase());
  history.replaceState(history.state, "", address);
});

// Its boxes for files are called other than what they show; where files can be added to a list, the
// box is a button within a button that has no words.
new MutationObserver(() => {
  for (const box of document.querySelectorAll("button.upload-container:not(.named)")) {
    const title = box.closest(".block")?.querySelector("label")?.textContent ?? "";
    box.ariaLabel = `${title} ${box.textContent}`.trim().replace(/\s+/g, " ");
    box.classList.add("named");
    const outer = box.closest("button.icon-button");
    if (!outer) continue;
    outer.role = "group";
    outer.tabIndex = -1;
    outer.title = outer.ariaLabel = "Add files";
  }
}).observe(document.documentElement, { childList: true, subtree: true });
