// The threshold is dragged in the histogram; the sentence follows at once, the rest on release.
const plot = () => document.querySelector('#bench-scores .js-plotly-plot');
const scoreAt = (event) => {
  const box = plot().getBoundingClientRect(), axis = plot()._fullLayout.xaxis;
  const x = Math.min(Math.max(event.clientX - box.left - axis._offset, 0), axis._length);
  return axis.p2d(x);
};
const near = (event) => {
  const gd = plot();
  if (!gd?.layout?.shapes?.length || !gd.contains(event.target)) return false;
  const axis = gd._fullLayout.xaxis;
  const line = gd.getBoundingClientRect().left + axis._offset + axis.d2p(gd.layout.shapes[0].x0);
  return Math.abs(line - event.clientX) < 16;
};
const percent = (share) => `${(100 * share).toFixed(1)}%`;
const say = (score) => {
  const said = element.querySelector('.rates');
  const { t, r, f } = JSON.parse(said.dataset.curve);
  let i = -1; // the lowest threshold that is not below the score
  while (i + 1 < t.length && t[i + 1] >= score) i += 1;
  said.querySelector('.at').textContent = Number(score).toPrecision(5);
  said.querySelector('.kept').textContent = percent(i < 0 ? 0 : r[i]);
  said.querySelector('.let').textContent = percent(i < 0 ? 0 : f[i]);
  const others = said.querySelector('.others');
  if (others) others.hidden = true; // told again on release
};
let moving = false;
document.addEventListener('pointerdown', (event) => {
  if (!near(event)) return;
  moving = true;
  event.preventDefault();
  event.stopPropagation();
}, true);
document.addEventListener('pointermove', (event) => {
  if (!moving) {
    const gd = plot();
    if (gd?.contains(event.target)) gd.classList.toggle('at-line', near(event));
    return;
  }
  const score = scoreAt(event);
  window.Plotly.relayout(plot(), { 'shapes[0].x0': score, 'shapes[0].x1': score });
  say(score);
});
const end = (event) => {
  if (!moving) return;
  moving = false;
  trigger('select', { index: scoreAt(event) });
};
document.addEventListener('pointerup', end);
document.addEventListener('pointercancel', end);
