// Plotly breaks no lines. The caption arrives escaped, as Plotly reads it.
const wrapped = (text) => text.replace(/(.{1,130})(?:\s+|$)/g, "$1<br>").replace(/(<br>)+$/, "");

element.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-figure]");
  if (!button) return;
  const { figure, kind } = button.dataset;
  if (kind === "html") return trigger("select", { index: figure });
  const gd = document.querySelector(`#bench-${figure} .js-plotly-plot`);
  if (!gd) return;
  const ink = { color: "#1b2129", family: "sans-serif", size: 14 };
  const under = { text: wrapped(props.value.caption), x: 0, y: 0, yshift: -96, xref: "paper", yref: "paper", xanchor: "left", yanchor: "top", align: "left", showarrow: false, font: { size: 11 } };
  const margin = { l: 70, r: 20, t: 30, b: 110 + 15 * under.text.split("<br>").length };
  const annotations = [...(gd.layout.annotations ?? []), under];
  const layout = { ...gd.layout, paper_bgcolor: "#ffffff", plot_bgcolor: "#ffffff", font: ink, margin, annotations };
  await window.Plotly.downloadImage(
    { data: gd.data, layout },
    { format: kind, filename: figure, width: 900, height: 460 + margin.b, scale: 2 },
  );
});
