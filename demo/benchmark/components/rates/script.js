// The threshold is dragged in the histogram; the sentence follows at once, the rest on release.
let moving = false;
const plot = () => element.isConnected && document.querySelector("#bench-scores .js-plotly-plot");

function scoreAt(event) {
  const box = plot().getBoundingClientRect(), axis = plot()._fullLayout.xaxis;
  return axis.p2d(Math.min(Math.max(event.clientX - box.left - axis._offset, 0), axis._length));
}

function near(event) {
  const gd = plot();
  if (!gd?.layout?.shapes?.length || !gd.contains(event.target)) return false;
  const axis = gd._fullLayout.xaxis;
  const line = gd.getBoundingClientRect().left + axis._offset + axis.d2p(gd.layout.shapes[0].x0);
  return Math.abs(line - event.clientX) < 16;
}

function end(event) {
  if (!moving) return;
  moving = false;
  trigger("select", { index: scoreAt(event) });
}

document.addEventListener("pointerdown", (event) => {
  if (!near(event)) return;
  moving = true;
  event.preventDefault();
  event.stopPropagation();
}, true);
document.addEventListener("touchstart", (event) => moving && event.stopPropagation(), true);
document.addEventListener("pointermove", (event) => {
  if (!moving) {
    const gd = plot();
    if (gd?.contains?.(event.target)) gd.classList.toggle("at-line", near(event));
    return;
  }
  props.moved = scoreAt(event);
  window.Plotly.relayout(plot(), { "shapes[0].x0": props.moved, "shapes[0].x1": props.moved });
});
document.addEventListener("pointerup", end);
document.addEventListener("pointercancel", end);

watch("value", () => {
  props.moved = null;
});
