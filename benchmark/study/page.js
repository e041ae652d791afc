"use strict";
// Each rater sees the pairs in an order of their own. Answers are kept in this browser and saved as one JSON file.
const study = document.documentElement.dataset.study;
const format = Number(document.documentElement.dataset.format);
const place = "openuni-study-" + study;
const $ = (id) => document.getElementById(id);

function load() {
  try {
    const kept = JSON.parse(localStorage.getItem(place));
    if (kept && typeof kept.rater === "string" && typeof kept.answers === "object") return kept;
  } catch { /* no storage, or not ours: start anew */ }
  const rater = [...crypto.getRandomValues(new Uint8Array(8))].map((one) => one.toString(16).padStart(2, "0")).join("");
  return { rater, answers: {} };
}

function keep() {
  try {
    localStorage.setItem(place, JSON.stringify(state));
  } catch { /* a full or forbidden storage: the file can be saved all the same */ }
}

// Mulberry32, seeded by the rater's id: the same order when the page is opened again.
function shuffled(list, text) {
  let seed = 0;
  for (const letter of text) seed = (Math.imul(seed, 31) + letter.charCodeAt(0)) | 0;
  const random = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const out = [...list];
  for (let last = out.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [out[last], out[other]] = [out[other], out[last]];
  }
  return out;
}

const state = load();
const pairs = shuffled(document.querySelectorAll(".pair"), state.rater);
const axes = (pair) => [...pair.querySelectorAll("fieldset")].map((one) => one.dataset.axis);
const whole = (pair) => axes(pair).every((axis) => state.answers[pair.dataset.pair]?.[axis]);
let at = Math.max(0, pairs.findIndex((pair) => !whole(pair)));
if (pairs.every(whole)) at = pairs.length;

for (const pair of pairs) {
  for (const input of pair.querySelectorAll("input")) {
    const axis = input.closest("fieldset").dataset.axis;
    input.checked = state.answers[pair.dataset.pair]?.[axis] === input.value;
    input.addEventListener("change", () => {
      state.answers[pair.dataset.pair] = { ...state.answers[pair.dataset.pair], [axis]: input.value };
      keep();
      draw();
    });
  }
}

function play() {
  for (const video of pairs[at]?.querySelectorAll("video") ?? []) {
    video.currentTime = 0;
    video.play().catch(() => { video.controls = true; });
  }
}

function draw() {
  const done = pairs.filter(whole).length;
  $("progress").value = done;
  $("count").textContent = at < pairs.length ? `pair ${at + 1} of ${pairs.length}` : `${done} of ${pairs.length} answered`;
  pairs.forEach((pair, number) => { pair.hidden = number !== at; });
  $("end").hidden = at < pairs.length;
  $("back").disabled = at === 0;
  $("replay").disabled = at >= pairs.length;
  $("next").disabled = at >= pairs.length || !whole(pairs[at]);
  $("save").disabled = done === 0;
}

function go(step) {
  for (const video of pairs[at]?.querySelectorAll("video") ?? []) video.pause();
  at = Math.min(pairs.length, Math.max(0, at + step));
  draw();
  play();
  scrollTo(0, 0);
}

function answers() {
  const given = pairs.filter(whole).map((pair) => ({ pair: pair.dataset.pair, ...state.answers[pair.dataset.pair] }));
  return { format, study, rater: state.rater, answers: given };
}

$("back").addEventListener("click", () => go(-1));
$("next").addEventListener("click", () => go(1));
$("replay").addEventListener("click", play);
$("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(answers(), null, 1) + "\n"], { type: "application/json" }));
  link.download = `answers-${study}-${state.rater}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});
keep();
draw();
play();
