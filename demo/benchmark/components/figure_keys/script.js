element.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-figure]");
  if (!button) return;
  const { figure, kind } = button.dataset;
  if (kind === "html") return trigger("select", { index: figure });
  const gd = document.querySelector(`#bench-${figure} .js-plotly-plot`);
  if (!gd) return;
  const ink = { color: "#1b2129", family: "sans-serif", size: 14 };
  const margin = { l: 70, r: 20, t: 30, b: 80 };
  const layout = { ...gd.layout, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", font: ink, margin };
  await window.Plotly.downloadImage(
    { data: gd.data, layout },
    { format: kind, filename: figure, width: 900, height: 520, scale: 2 },
  );
});
