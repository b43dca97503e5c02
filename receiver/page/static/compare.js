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
  const [ends, begins] = [...link.querySelectorAll("img")].map((each) => each.alt);
  for (const [id, url, alt] of [["ends", link.dataset.ends, ends], ["begins", link.href, begins]]) {
    Object.assign(document.getElementById(id), { src: url, alt });
  }
  document.getElementById("compare-h").textContent = link.dataset.name;
  document.getElementById("figure").textContent = link.nextElementSibling.innerText.split("\n").slice(1).join(" · ");
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
