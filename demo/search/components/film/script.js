let picked = 0;

element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-index]");
  if (button) props.picked = picked = Number(button.dataset.index);
});

watch("value", () => {
  if (picked >= (props.value?.patches?.labels.length ?? 0)) picked = 0;
  props.picked = picked;
});
