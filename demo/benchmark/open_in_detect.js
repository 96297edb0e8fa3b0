// A picture of the benchmark goes where dropped pictures go, on the first tab.
async (text) => {
  if (!text) return;
  const { name, uri } = JSON.parse(text);
  const bytes = await (await fetch(uri)).blob();
  const tab = [...document.querySelectorAll('button[role=tab]')]
    .find((button) => button.textContent.trim() === 'Detect');
  tab?.click();
  let input = null;
  for (let i = 0; i < 50 && !input; i += 1) {
    input = document.querySelector('#pictures input[type=file]');
    if (!input) {
      document.querySelector('#pictures button[aria-label="Clear"]')?.click(); // full: empty it
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  }
  if (!input) return;
  const box = new DataTransfer();
  box.items.add(new File([bytes], name, { type: bytes.type }));
  input.files = box.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
  window.scrollTo({ top: 0 });
}
