// Replays a search: the slider says how far it is, the clock moves the slider. The page may put
// another search into the same elements at any time: events are caught here, and what was read
// belongs to the `data-trace` that it was read from.
let clock = null;

function stop(player) {
  clearInterval(clock);
  clock = null;
  const button = player.querySelector(".play");
  if (button) button.textContent = "▶ Play";
}

function show(player, at) {
  const rows = player.rows;
  const [step, ratio, place, loss, best, id, ood, accuracy, patches, top, improved, shade] = rows[at];
  const share = (100 * (at + 0.5)) / rows.length;
  const film = player.querySelector(".film");
  film.style.clipPath = `inset(-6px ${100 - share - 50 / rows.length}% -6px -6px)`;
  const cursor = player.querySelector(".cursor");
  cursor.style.left = `${share}%`;
  cursor.style.top = `${top}%`;
  cursor.classList.toggle("better", improved === 1);
  player.querySelector(".now").innerHTML =
    `<b>Candidate ${at + 1} of ${rows.length}: ${place}.</b> <span>loss ${loss} ` +
    (improved ? "✓ best so far" : `(best so far ${best})`) +
    `</span> <span>ID term ${id}</span> <span>OOD term ${ood}</span> <span>accuracy ${accuracy}</span> ` +
    `<span>OOD patches ${patches}</span>`;
  for (const cell of player.closest(".search").querySelectorAll("td[data-step]")) {
    const when = Number(cell.dataset.step);
    const trying = when === step && at < rows.length - 1;
    const value = when < step || !trying && when === step ? cell.dataset.ratio : trying ? ratio : "·";
    cell.textContent = value;
    cell.style.setProperty("--r", trying ? shade : value === "·" ? 0 : cell.dataset.shade);
    cell.classList.toggle("trying", trying);
  }
}

function ready() {
  for (const player of element.querySelectorAll(".player")) {
    if (player.source === player.dataset.trace) continue;
    player.source = player.dataset.trace;
    player.rows = JSON.parse(player.source);
    stop(player);
    const slider = player.querySelector("input");
    slider.max = slider.value = player.rows.length - 1;
    show(player, player.rows.length - 1);
  }
}

element.addEventListener("input", (event) => {
  const player = event.target.closest(".player");
  if (!player) return;
  if (event.target.matches("select")) {
    if (clock) play(player);
    return;
  }
  stop(player);
  show(player, Number(event.target.value));
});

function play(player) {
  clearInterval(clock);
  const slider = player.querySelector("input");
  if (Number(slider.value) >= Number(slider.max)) slider.value = 0;
  player.querySelector(".play").textContent = "❚❚ Pause";
  show(player, Number(slider.value));
  clock = setInterval(() => {
    if (!player.isConnected) return clearInterval(clock);
    slider.value = Number(slider.value) + 1;
    show(player, Number(slider.value));
    if (Number(slider.value) >= Number(slider.max)) stop(player);
  }, 320 / Number(player.querySelector("select").value));
}

element.addEventListener("click", (event) => {
  const player = event.target.closest(".play")?.closest(".player");
  if (!player) return;
  if (clock) stop(player);
  else play(player);
});

new MutationObserver(ready).observe(element, {
  childList: true,
  subtree: true,
  attributeFilter: ["data-trace"],
});
ready();
