// Plays clips on the page: one, or the rough cut so far, which grows while it plays. Without this script the same
// links open the clips themselves.
"use strict";

const screen_ = document.getElementById("screen");
const player = document.getElementById("player");
const playing = document.getElementById("playing");
let cut = null; // The place in the rough cut, while it is played.

function play(url, name) {
  screen_.hidden = false;
  playing.textContent = name;
  player.src = url;
  player.play().catch(() => {}); // If a browser wants another click, its own button is there.
}

// The film has its own place at the top of its run.
function playFilm() {
  const film = document.getElementById("film");
  if (film) {
    film.scrollIntoView({ block: "center" });
    film.play().catch(() => {});
  }
  return film;
}

function playCut(place) {
  const clips = [...document.querySelectorAll("[data-clip]")];
  if (place >= clips.length) return;
  cut = place;
  const words = { name: clips[place].dataset.name, place: place + 1, all: clips.length };
  play(clips[place].href, screen_.dataset.soFar.replace(/{(\w+)}/g, (_, name) => words[name]));
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.play, #so-far");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (link.id === "so-far") return playCut(0);
  cut = null;
  if ("film" in link.dataset && playFilm()) return;
  play(link.href, link.dataset.name);
});

// One at a time.
document.addEventListener("play", (event) => {
  for (const each of document.querySelectorAll("video")) if (each !== event.target) each.pause();
}, true);

player.addEventListener("ended", () => {
  if (cut !== null) playCut(cut + 1);
});

// A clip that arrives after the rough cut had reached its end continues from there.
document.addEventListener("strip", () => {
  if (cut !== null && player.ended) playCut(cut + 1);
});

document.getElementById("close").addEventListener("click", () => {
  player.pause();
  player.removeAttribute("src");
  player.load();
  screen_.hidden = true;
  cut = null;
});
