// The slider says how far a search is replayed, the clock moves it. A value from the server brings
// `at` back to its end, so that it is put where it was, unless the value is of another search.
let clock = null;
let at = null;
let name = props.value?.film?.name;
const count = () => props.value.film.chart.heights.length;

function show(to) {
  at = props.at = to >= count() ? null : to;
}

function stop() {
  clearInterval(clock);
  clock = null;
  props.playing = false;
}

function play() {
  clearInterval(clock);
  if (at === null) show(1);
  props.playing = true;
  clock = setInterval(() => {
    if (!element.isConnected) return clearInterval(clock);
    show(at + 1);
    if (at === null) stop();
  }, 320 / Number(element.querySelector(".keys select").value));
}

element.addEventListener("click", (event) => {
  if (!event.target.closest(".keys .play")) return;
  if (clock === null) play();
  else stop();
});

element.addEventListener("input", (event) => {
  if (event.target.matches(".keys select") && clock !== null) play();
  if (!event.target.matches(".keys input")) return;
  stop();
  show(Number(event.target.value));
});

watch("value", () => {
  if (props.value?.film?.name !== name) {
    stop();
    at = null;
  }
  name = props.value?.film?.name;
  props.at = at;
  props.playing = clock !== null;
});
