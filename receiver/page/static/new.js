// A new film: the plan next to the text as it is typed, dropped pictures, and a form that writes the same text.
// The text is what counts: the form writes into it, and only the text is sent. All words are in the template.
"use strict";

const form = document.getElementById("new");
const text = document.getElementById("storyboard");
const plan = document.getElementById("plan");
const filesField = document.getElementById("files");
const trouble = document.getElementById("trouble");
const given = document.getElementById("given");
const rows = document.getElementById("shots");
const DRAFT = "framerelay-new-film";
const TYPED_MS = 350;
const AGAIN_MS = 3000;

let files = JSON.parse(filesField.value || "{}");
let board = null; // What the form shows: the plain values of the storyboard.
let asked = 0;
let timer = null;
let way = "text";

// --- the plan, as it is typed ---

function planSoon(ms = TYPED_MS) {
  clearTimeout(timer);
  timer = setTimeout(showPlan, ms);
  plan.dataset.old = "yes";
  const start = plan.querySelector("button.main");
  if (start) start.disabled = true;
}

async function showPlan() {
  const number = ++asked;
  plan.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/new/plan", {
      method: "POST",
      headers: { Accept: "text/html", "Content-Type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams(new FormData(form)),
    });
    if (number !== asked) return null;
    if (answer.status === 401) return warn(form.dataset.out);
    const html = await answer.text();
    const fresh = new DOMParser().parseFromString(html, "text/html");
    const inner = fresh.querySelector(".plan-in");
    if (!inner) return warn(fresh.querySelector("main p")?.textContent || form.dataset.lost);
    trouble.hidden = true;
    keepUnfolded(plan, inner);
    plan.replaceChildren(inner);
    delete plan.dataset.old;
    nameGiven();
    return inner;
  } catch {
    if (number !== asked) return null;
    timer = setTimeout(showPlan, AGAIN_MS);
    return warn(form.dataset.lost);
  } finally {
    if (number === asked) plan.removeAttribute("aria-busy");
  }
}

function keepUnfolded(old, fresh) {
  if (old.querySelector("details.shots")?.open && fresh.querySelector("details.shots")) fresh.querySelector("details.shots").open = true;
}

function warn(words) {
  trouble.textContent = words;
  trouble.hidden = false;
  return null;
}

function documentOf(inner) {
  const value = inner?.dataset.document;
  return value ? JSON.parse(value) : null;
}

text.addEventListener("input", () => {
  keep();
  planSoon();
});

// A mistake leads to its line.
plan.addEventListener("click", (event) => {
  const link = event.target.closest("[data-line]");
  if (!link) return;
  event.preventDefault();
  go("text");
  const lines = text.value.split("\n");
  const line = Number(link.dataset.line);
  const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  text.focus();
  text.setSelectionRange(start, start + (lines[line - 1] || "").length);
  text.scrollTop = Math.max(0, (line - 6) * parseFloat(getComputedStyle(text).lineHeight));
});

// Tab moves on, as it does everywhere; indentation is two typed spaces. Enter keeps the indentation of the line above.
text.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || event.ctrlKey || event.metaKey) return;
  const before = text.value.slice(0, text.selectionStart);
  const depth = /[^\n]*$/.exec(before)[0].match(/^ *(- )?/)[0].length;
  if (!depth) return;
  event.preventDefault();
  text.setRangeText(`\n${" ".repeat(depth)}`, text.selectionStart, text.selectionEnd, "end");
  text.dispatchEvent(new Event("input", { bubbles: true }));
});

// --- nothing typed is lost ---

function keep() {
  try {
    sessionStorage.setItem(DRAFT, JSON.stringify({ text: text.value, files }));
  } catch {
    // Too long for a tab's storage: it is still in the page.
  }
}

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(DRAFT) || "null");
  } catch {
    return null;
  }
}

form.addEventListener("submit", keep);

function offerKept() {
  const draft = kept();
  if (!draft || !draft.text.trim() || text.value.trim()) return;
  const offer = document.getElementById("kept");
  offer.hidden = false;
  offer.querySelector("button").addEventListener("click", async () => {
    offer.hidden = true;
    text.value = draft.text;
    files = draft.files || {};
    filesField.value = JSON.stringify(files);
    const inner = await showPlan();
    if (way === "shots") fill(documentOf(inner));
  });
}

// --- files that were dropped, chosen or pasted ---

async function take(list) {
  for (const file of list) {
    if (/\.(ya?ml|json)$/i.test(file.name)) await read(file);
    else await hand(file);
  }
  keep();
  const inner = await showPlan();
  if (way === "shots") fill(documentOf(inner));
}

async function read(file) {
  text.value = (await file.text()).replace(/\r\n/g, "\n");
  say(file.name, given.dataset.read);
}

async function hand(file) {
  say(file.name, given.dataset.sending);
  try {
    const answer = await fetch("/v1/files", { method: "POST", body: file, headers: { Accept: "application/json", "Content-Type": "application/octet-stream" } });
    const value = await answer.json();
    if (!answer.ok) return say(file.name, value.error.message, "bad");
    files[file.name] = value.name;
    filesField.value = JSON.stringify(files);
    say(file.name, given.dataset.there, "good");
    offerPictures();
    return file.name;
  } catch {
    return say(file.name, form.dataset.lost, "bad");
  }
}

function say(name, words, state = "") {
  let line = [...given.children].find((each) => each.dataset.name === name);
  if (!line) {
    line = document.createElement("li");
    line.dataset.name = name;
    line.append(document.createElement("b"), " ", document.createElement("span"));
    given.append(line);
  }
  line.firstChild.textContent = name;
  line.lastChild.textContent = words;
  line.lastChild.className = state;
}

// Uploaded pictures that are named nowhere are pointed out discreetly.
function nameGiven() {
  const named = [...plan.querySelectorAll(".pictures .name")].map((each) => each.textContent.split(/[\\/]/).pop());
  for (const line of given.children) {
    if (files[line.dataset.name]) say(line.dataset.name, named.includes(line.dataset.name) ? given.dataset.there : given.dataset.unnamed, "good");
  }
}

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.toggle("dropping", kind === "dragover");
    if (kind === "drop") take([...event.dataTransfer.files]);
  });
}

document.addEventListener("paste", (event) => {
  const list = [...(event.clipboardData?.files || [])];
  if (!list.length) return;
  event.preventDefault();
  take(list);
});

document.getElementById("pick").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});

// --- shot by shot ---

async function go(to) {
  if (to === way) return;
  way = to;
  for (const button of document.querySelectorAll("[data-way]")) button.setAttribute("aria-pressed", String(button.dataset.way === to));
  document.getElementById("text-way").hidden = to !== "text";
  document.getElementById("shots-way").hidden = to !== "shots";
  if (to !== "shots") return;
  document.getElementById("comments").hidden = !/^\s*#|\s#/m.test(text.value);
  if (!text.value.trim()) return fill({ shots: [{}] });
  const inner = documentOf(plan.querySelector(".plan-in")) && !plan.dataset.old ? plan.querySelector(".plan-in") : await showPlan();
  fill(documentOf(inner));
}

function lists() {
  return board.scenes ? board.scenes.map((scene) => scene.shots) : [board.shots];
}

function fits(value) {
  const areShots = (shots) => Array.isArray(shots) && shots.every((shot) => shot && typeof shot === "object" && !Array.isArray(shot));
  if (!value) return false;
  if (value.scenes) return Array.isArray(value.scenes) && value.scenes.length && value.scenes.every((scene) => scene && areShots(scene.shots));
  return areShots(value.shots ?? []);
}

function fill(value) {
  const is = fits(value);
  document.getElementById("unfit").hidden = is;
  document.getElementById("shots-form").hidden = !is;
  if (!is) return;
  board = value;
  if (!board.scenes) board.shots ??= [];
  for (const field of form.querySelectorAll("[data-top]")) field.value = board[field.dataset.top] ?? "";
  for (const field of form.querySelectorAll("[data-default]")) field.value = board.defaults?.[field.dataset.default] ?? "";
  draw();
}

function draw() {
  rows.replaceChildren();
  let number = 0;
  lists().forEach((shots, scene) => {
    if (board.scenes && board.scenes.length > 1) {
      const head = document.createElement("li");
      head.className = "scene";
      head.textContent = board.scenes[scene].id || String(scene + 1);
      rows.append(head);
    }
    shots.forEach((shot, place) => rows.append(row(shots, shot, place, ++number)));
  });
  offerPictures();
}

function row(shots, shot, place, number) {
  const item = document.getElementById("shot-row").content.cloneNode(true).firstElementChild;
  item.shot = shot;
  item.shots = shots;
  item.querySelector(".num").textContent = shot.id || `s${number}`;
  for (const label of item.querySelectorAll("[data-label]")) {
    const field = { from: "[data-from]", picture: "[data-picture]" }[label.dataset.label] || `[data-key=${label.dataset.label}]`;
    const input = item.querySelector(field);
    input.id = `${label.dataset.label}-${number}`;
    label.htmlFor = input.id;
  }
  for (const field of item.querySelectorAll("[data-key]")) field.value = shot[field.dataset.key] ?? "";
  item.querySelector("[data-gate]").checked = shot.gate === "approve";
  const from = item.querySelector("[data-from]");
  const first = place === 0;
  if (first) from.querySelector("[value=previous]").remove();
  const own = shot.from && !["continue", "cut"].includes(shot.from) ? shot.from : null;
  if (own) from.append(new Option(own, `own:${own}`));
  from.value = own ? `own:${own}` : picture(shot) ? "picture" : first || shot.from === "cut" ? "cut" : "previous";
  showFrame(item);
  return item;
}

function picture(shot) {
  return shot.first_frame ?? shot.first_frame_url ?? "";
}

function showFrame(item) {
  const wants = item.querySelector("[data-from]").value === "picture";
  for (const each of item.querySelectorAll(".frame")) each.hidden = !wants;
}

function offerPictures() {
  for (const item of rows.querySelectorAll(".shot-row")) {
    const select = item.querySelector("[data-picture]");
    const own = picture(item.shot);
    const names = [...new Set([...Object.keys(files), ...(own ? [own] : [])])];
    select.replaceChildren(select.firstElementChild, ...names.map((name) => new Option(name.length > 60 ? `${name.slice(0, 59)}…` : name, name)));
    select.value = own;
  }
}

function number(value) {
  const plain = value.trim().replace(",", ".");
  return plain && !Number.isNaN(Number(plain)) ? Number(plain) : value.trim();
}

function put(into, key, value) {
  if (value === "" || value === undefined) delete into[key];
  else into[key] = value;
}

rows.addEventListener("input", (event) => {
  const item = event.target.closest(".shot-row");
  if (!item) return;
  const { shot } = item;
  const { key } = event.target.dataset;
  if (key) put(shot, key, key === "prompt" ? event.target.value : number(event.target.value));
  else if (event.target.matches("[data-gate]")) put(shot, "gate", event.target.checked ? "approve" : "");
  else if (event.target.matches("[data-from], [data-picture]")) begins(item);
  else return;
  written();
});

function begins(item) {
  const { shot, shots } = item;
  const from = item.querySelector("[data-from]").value;
  const first = shots.indexOf(shot) === 0;
  delete shot.first_frame;
  delete shot.first_frame_url;
  if (from === "picture") put(shot, "first_frame", item.querySelector("[data-picture]").value);
  if (from.startsWith("own:")) shot.from = from.slice(4);
  else put(shot, "from", first || from === "previous" ? "" : "cut");
  showFrame(item);
}

rows.addEventListener("change", async (event) => {
  if (!event.target.matches("[data-file]")) return;
  const item = event.target.closest(".shot-row");
  const name = event.target.files[0] && (await hand(event.target.files[0]));
  event.target.value = "";
  if (!name) return;
  item.querySelector("[data-picture]").value = name;
  begins(item);
  written();
});

rows.addEventListener("click", (event) => {
  const { do: what } = event.target.dataset;
  const item = event.target.closest(".shot-row");
  if (!what || !item) return;
  const { shots, shot } = item;
  const place = shots.indexOf(shot);
  shots.splice(place, 1);
  const to = { up: place - 1, down: place + 1 }[what];
  if (to !== undefined) shots.splice(Math.min(shots.length, Math.max(0, to)), 0, shot);
  draw();
  written();
  const again = [...rows.querySelectorAll(".shot-row")].find((each) => each.shot === shot);
  (again?.querySelector(`[data-do=${what}]`) || document.getElementById("add")).focus();
});

document.getElementById("add").addEventListener("click", () => {
  lists().at(-1).push({});
  draw();
  [...rows.querySelectorAll("[data-key=prompt]")].at(-1)?.focus();
});

form.addEventListener("input", (event) => {
  const { top, default: name } = event.target.dataset;
  if (!board || (!top && !name)) return;
  if (top) put(board, top, event.target.value);
  else {
    board.defaults ??= {};
    put(board.defaults, name, name === "duration" ? number(event.target.value) : event.target.value.trim());
    if (!Object.keys(board.defaults).length) delete board.defaults;
  }
  written();
});

function written() {
  text.value = yaml(board);
  keep();
  planSoon();
}

// --- plain values as YAML: JSON is YAML, too, so anything that is not simple is written as JSON ---

const ORDER = ["version", "title", "provider", "model", "budget", "currency", "labels", "pass", "defaults", "style"];
const LAST = ["notify_url", "shots", "scenes"];
const IN_SHOT = ["id", "prompt", "from", "first_frame", "duration"];

function yaml(value) {
  const keys = Object.keys(value).filter((key) => !LAST.includes(key));
  const lines = sorted(keys, ORDER).map((key) => `${scalar(key)}: ${flow(value[key])}`);
  if (value.notify_url) lines.push(`notify_url: ${flow(value.notify_url)}`);
  if (value.shots) lines.push("shots:", ...listed(value.shots, "  "));
  for (const [place, scene] of (value.scenes || []).entries()) {
    if (!place) lines.push("scenes:");
    const own = sorted(Object.keys(scene).filter((key) => key !== "shots"), ["id", "first_frame"]);
    const heads = [...own.map((key) => `${scalar(key)}: ${flow(scene[key])}`), "shots:"];
    lines.push(...heads.map((line, at) => `  ${at ? "  " : "- "}${line}`), ...listed(scene.shots, "      "));
  }
  return `${lines.join("\n")}\n`;
}

function listed(shots, indent) {
  return shots.flatMap((shot) => {
    const keys = sorted(Object.keys(shot), IN_SHOT);
    const lines = keys.map((key) => `${scalar(key)}: ${flow(shot[key])}`);
    return (lines.length ? lines : ['prompt: ""']).map((line, at) => `${indent}${at ? "  " : "- "}${line}`);
  });
}

function sorted(keys, order) {
  const rank = (key) => (order.includes(key) ? order.indexOf(key) : order.length);
  return [...keys].sort((one, other) => rank(one) - rank(other));
}

function flow(value) {
  if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
  if (value && typeof value === "object") return `{${Object.entries(value).map(([key, each]) => `${scalar(key)}: ${flow(each)}`).join(", ")}}`;
  return typeof value === "string" ? scalar(value) : JSON.stringify(value);
}

// Without quotes only if it cannot be anything but text.
function scalar(value) {
  const plain = /^[\p{L}_./][\p{L}\p{N} _./’'()!?;、。，！？…-]*$/u.test(value) && !/\s$/.test(value);
  const word = /^(true|false|null|yes|no|on|off|y|n|\.|~)$/i.test(value) || /^[.\d]/.test(value);
  return plain && !word && value.length < 400 ? value : JSON.stringify(value);
}

// --- startup ---

document.querySelector(".ways").hidden = false;
document.getElementById("drop").hidden = false;
for (const each of document.querySelectorAll(".plain")) each.hidden = true; // The plan comes by itself.
for (const button of document.querySelectorAll("[data-way]")) button.addEventListener("click", () => go(button.dataset.way));
offerKept();
if (!text.value.trim()) go("shots");
