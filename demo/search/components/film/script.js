element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-index]");
  if (button) props.picked = Number(button.dataset.index);
});
