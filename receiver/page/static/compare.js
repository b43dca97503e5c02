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
  const [name, ...figure] = link.nextElementSibling.innerText.split("\n");
  for (const [place, small] of [...link.querySelectorAll("img")].entries()) {
    const whole = document.getElementById(place ? "begins" : "ends");
    whole.src = small.src.replace("?small", "");
    whole.alt = small.alt;
  }
  const [ends, begins] = layers.querySelectorAll("img");
  document.getElementById("compare-h").textContent = name;
  document.getElementById("sides").textContent = `Left of the line ${ends.alt}, right of it ${begins.alt}`;
  document.getElementById("figure").textContent = figure.join(" · ");
  wipe.value = 50;
  uncover();
  seam.showModal();
  wipe.focus();
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a.compare");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  compare(link);
});
wipe.addEventListener("input", uncover);
document.getElementById("differs").addEventListener("change", differ);
