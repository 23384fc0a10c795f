// A click on what has data-at makes the first player of its card jump there; where the player is, the curve shows.
element.addEventListener("click", (event) => {
  const mark = event.target.closest("[data-at]");
  const player = mark && element.querySelector("video");
  if (!player) return;
  player.currentTime = Number(mark.dataset.at);
  player.scrollIntoView({ block: "nearest" });
});

for (const name of ["timeupdate", "seeked", "loadedmetadata"]) {
  // Captured, since what a player tells does not bubble.
  element.addEventListener(name, (event) => {
    const curve = element.querySelector(".curve"), head = element.querySelector(".playhead");
    if (!head || event.target !== element.querySelector("video")) return;
    head.style.left = `${Math.min(100, (100 * event.target.currentTime) / Number(curve.dataset.length))}%`;
  }, true);
}
