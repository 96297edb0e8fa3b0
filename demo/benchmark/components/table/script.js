// The table says that it scrolls sideways, where it does.
const tell = () => {
  const box = element.querySelector(".scroll");
  if (box) element.querySelector(".sideways").hidden = box.scrollWidth <= box.clientWidth;
};
watch("value", tell);
new ResizeObserver(tell).observe(element);
tell();
