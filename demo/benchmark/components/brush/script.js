// A drag or a click in one of the figures selects scores. Plotly draws them anew, so it is listened
// to when the pointer comes.
const FIGURES = ["scores", "roc", "precision"];

function dragged(name, event) {
  if (!event?.range) return;
  if (name === "scores") return tell(event.range.x, "both");
  // Plotly selects markers alone. The chosen detector's curve is the last that has scores.
  const { x, y, customdata } = plot(name)._fullData.filter((one) => one.customdata).at(-1);
  const inside = (value, [from, to]) => value >= Math.min(from, to) && value <= Math.max(from, to);
  const scores = [...customdata].filter((score, i) =>
    Number.isFinite(score) && inside(x[i], event.range.x) && inside(y[i], event.range.y));
  if (scores.length) tell([Math.min(...scores), Math.max(...scores)], "both");
}

function clicked(event) {
  const [point] = event.points;
  if (point.data.type !== "bar") return;
  const half = point.data.width / 2;
  tell([point.x - half, point.x + half], point.curveNumber ? "foreign" : "known");
}

const plot = (name) => document.querySelector(`#bench-${name} .js-plotly-plot`);

function tell([low, high], side) {
  trigger("select", { low, high, side });
}

document.addEventListener("pointerover", (event) => {
  if (!element.isConnected) return;
  for (const name of FIGURES) {
    const gd = plot(name);
    if (!gd?.contains(event.target) || gd.heard === gd._ev) continue;
    gd.heard = gd._ev; // another one after each drawing
    gd.on("plotly_selected", (found) => dragged(name, found));
    if (name === "scores") gd.on("plotly_click", clicked);
  }
}, true);

element.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  tell([Number(form.get("low")), Number(form.get("high"))], form.get("side"));
});
element.addEventListener("click", (event) => {
  if (event.target.closest(".clear")) trigger("select", { low: 0, high: 0, side: "" });
});
