// Two videos play as one: the left one is the clock; the right one follows it, data-offset seconds ahead.
const parts = () => {
  const pair = element.querySelector(".pair");
  if (!pair) return null;
  const [query, result] = pair.querySelectorAll("video");
  const [seek, time, play] = ["input", "output", "[data-do=play]"].map((name) => pair.querySelector(name));
  return { pair, query, result, seek, time, play, offset: Number(pair.dataset.offset) };
};

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

const follow = ({ query, result, seek, time, play, offset }) => {
  const there = query.currentTime + offset;
  const place = Math.min(Math.max(there, 0), result.duration || 0);
  const playing = !query.paused && !query.ended, late = place - result.currentTime;
  // A seek takes time, so it would chase a running clock for ever: while both run, the late one runs faster.
  if (Math.abs(late) > (playing ? 1 : 0.02) && !result.seeking) result.currentTime = place;
  result.playbackRate = Math.min(2, Math.max(0.5, 1 + 2 * late));
  if (!playing || place !== there) result.pause();
  else if (result.paused) result.play().catch(() => {});
  play.textContent = playing ? "Pause" : "Play";
  time.textContent = clock(query.currentTime);
  if (query.duration) seek.max = query.duration;
  if (document.activeElement !== seek || playing) seek.value = query.currentTime;
};

const heard = ["timeupdate", "seeked", "play", "pause", "ended", "waiting", "playing", "loadedmetadata"];
for (const name of heard) {
  // Captured, since what a player tells does not bubble.
  element.addEventListener(name, (event) => {
    const both = parts();
    if (!both || (event.target === both.result && !["loadedmetadata", "seeked"].includes(name))) return;
    if (event.target === both.query && name === "loadedmetadata") both.query.currentTime = Math.max(0, -both.offset);
    follow(both);
  }, true);
}

element.addEventListener("input", (event) => {
  const both = parts();
  if (both && event.target === both.seek) both.query.currentTime = Number(both.seek.value);
});

element.addEventListener("click", (event) => {
  const both = parts(), wanted = event.target.closest("[data-do]")?.dataset.do;
  if (!both || !wanted) return;
  if (wanted === "close") props.value = "";
  else if (both.query.paused || both.query.ended) both.query.play();
  else both.query.pause();
});
