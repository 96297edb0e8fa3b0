// The line over both kinds of mistakes is dragged as its slider is.
let at = null;
const plot = () => element.isConnected && document.querySelector("#trade .js-plotly-plot");
const slider = () => ["#line-altered", "#line"]
  .map((name) => document.querySelector(`${name} input[type=range]`)).find((one) => one?.offsetParent);

function move(event) {
  const gd = plot(), axis = gd._fullLayout.xaxis, left = gd.getBoundingClientRect().left + axis._offset;
  at = axis.p2d(Math.min(Math.max(event.clientX - left, 0), axis._length));
  window.Plotly.relayout(gd, { "shapes[0].x0": at, "shapes[0].x1": at });
}

function end() {
  if (at === null) return;
  const input = slider();
  if (input) {
    input.value = at;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  at = null;
}

document.addEventListener("pointerdown", (event) => {
  const gd = plot();
  if (!gd || !gd.contains(event.target) || !gd.layout?.shapes?.length) return;
  event.preventDefault();
  move(event);
}, true);
document.addEventListener("pointermove", (event) => at !== null && move(event));
document.addEventListener("pointerup", end);
document.addEventListener("pointercancel", end);
