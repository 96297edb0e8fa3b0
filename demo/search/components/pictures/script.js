const give = () => {
  for (const [i, { value }] of [...element.querySelectorAll("data")].entries())
    if (value.startsWith("data:image/"))
      document.documentElement.style.setProperty(`--picture-${i}`, `url("${CSS.escape(value)}")`);
};
watch("value", give);
give();
