// Lays the two frames of a seam over each other: the slider wipes from where one shot ends to where the next begins.
// Without this script the same link opens the second frame; both stand side by side on the page anyway.
"use strict";

const seam = document.getElementById("compare");
const wipe = document.getElementById("wipe");
const layers = seam.querySelector(".wipe");

function uncover() {
  layers.style.setProperty("--wipe", `${wipe.value}%`);
}

function differ() {
  layers.classList.toggle("differs", document.getElementById("differs").checked);
}

function compare(link) {
  const { ends, begins, sides } = seam.dataset;
  const words = { ends: ends.replace("{shot}", link.dataset.from), begins: begins.replace("{shot}", link.dataset.to) };
  for (const [name, source] of [["ends", link.dataset.ends], ["begins", link.href]]) {
    const frame = document.getElementById(name);
    frame.src = source;
    frame.alt = words[name];
  }
  document.getElementById("compare-h").textContent = `${link.dataset.from} → ${link.dataset.to}`;
  document.getElementById("sides").textContent = sides.replace("{ends}", words.ends).replace("{begins}", words.begins);
  document.getElementById("figure").textContent = link.dataset.figure;
  wipe.value = 50;
  uncover();
  seam.showModal();
  wipe.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.seam");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  compare(link);
});
wipe.addEventListener("input", uncover);
document.getElementById("differs").addEventListener("change", differ);
