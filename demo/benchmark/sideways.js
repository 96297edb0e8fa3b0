// The table says that it scrolls sideways, where it does.
const tell = () => {
  const box = element.querySelector('.scroll');
  const said = element.querySelector('.sideways');
  if (said) said.hidden = box.scrollWidth <= box.clientWidth;
};
new MutationObserver(tell).observe(element, { childList: true, subtree: true });
new ResizeObserver(tell).observe(element);
tell();
