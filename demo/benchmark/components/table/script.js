// One metric alone, or all of them.
element.addEventListener("change", (event) => {
  if (event.target.name !== "bench-metric") return;
  props.metric = event.target.value === "" ? null : Number(event.target.value);
  element.querySelector("input:checked")?.focus(); // drawn anew
});

// The table says that it scrolls sideways, where it does.
const tell = () => {
  const box = element.querySelector(".scroll");
  if (box) element.querySelector(".sideways").hidden = box.scrollWidth <= box.clientWidth;
};
watch("value", tell);
new ResizeObserver(tell).observe(element);
tell();
