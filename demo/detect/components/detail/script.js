element.addEventListener("change", (event) => {
  if (!event.target.closest(".switch")) return;
  props.plain = !event.target.checked;
  requestAnimationFrame(() => element.querySelector(".switch input")?.focus());
});
