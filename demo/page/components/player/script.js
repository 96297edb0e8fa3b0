// The slider says how far a search is replayed, the clock moves it.
let clock = null;
let name = props.value?.film?.name;
const count = () => props.value.film.chart.heights.length;

function show(to) {
  props.at = to >= count() ? null : to;
}

function stop() {
  clearInterval(clock);
  props.playing = false;
}

function play() {
  clearInterval(clock);
  show(props.at ?? 1);
  props.playing = true;
  clock = setInterval(() => {
    if (!element.isConnected) return clearInterval(clock);
    show(props.at + 1);
    if (props.at === null) stop();
  }, 320 / Number(element.querySelector(".keys select").value));
}

element.addEventListener("click", (event) => {
  if (!event.target.closest(".keys .play")) return;
  if (props.playing) stop();
  else play();
});

element.addEventListener("input", (event) => {
  if (event.target.matches(".keys select") && props.playing) play();
  if (!event.target.matches(".keys input")) return;
  stop();
  show(Number(event.target.value));
});

watch("value", () => {
  if (props.value?.film?.name === name) return;
  name = props.value?.film?.name;
  stop();
  props.at = null;
});
