/* What all tabs share. Last of the scripts, since it starts the page. */
const SHOWN = 500;
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const state = { files: [], info: null, records: [], shown: [], request: "", asked: null, own: false, corrections: new Map(),
  found: null, sides: { old: null, new: null }, compared: null, asksCompared: null };
let words = WORDS.en;

/* Text of the interface; {} stands for the values. */
const say = (key, ...values) => values.reduce((text, value) => text.replace("{}", () => value), words[key]);

/* An element. What is foreign only ever becomes text. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "onclick") element.addEventListener("click", value);
    // Not as an attribute, which the policy of the page forbids.
    else if (name === "style") element.style.cssText = value;
    else if (value !== false && value !== undefined) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children);
  return element;
}

function translate(language) {
  words = WORDS[language];
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  $("language").value = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = words[element.dataset.t];
  $("theme").textContent = document.documentElement.dataset.theme === "dark" ? words.light : words.dark;
  for (const option of $("source").options) if (option.dataset.t) option.textContent = words[option.dataset.t];
  for (const button of document.querySelectorAll("[data-remove]")) button.setAttribute("aria-label", say("remove", button.dataset.remove));
  about();
  render();
  renderFound();
  showCompared();
  renderCompared();
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  $("theme").textContent = name === "dark" ? words.light : words.dark;
}

function about() {
  const info = state.info;
  $("about").textContent = info ? say("model", info.classifier || info.model_id) : "";
  aboutIndex();
}

/* Asking. */
async function ask(path, options) {
  let response;
  try { response = await fetch(path, options); } catch { throw new Error(words.unreachable); }
  const json = await response.json().catch(() => null);
  if (!response.ok) throw new Error(json && json.error ? json.error.message : response.statusText);
  return { json, request: response.headers.get("x-request-id") };
}

/* Says what is wrong in a tab. */
function problem(text, tab = "classify") {
  $(`${tab}-problem`).textContent = text;
  $(`${tab}-problem`).hidden = !text;
}

/* Tabs. The name of the tab stands in the address. */
const TABS = ["classify", "ask", "compare"];

function showTab(name, focus) {
  for (const tab of TABS) {
    const isShown = tab === name;
    $(`tab-${tab}`).setAttribute("aria-selected", String(isShown));
    $(`tab-${tab}`).tabIndex = isShown ? 0 : -1;
    $(`panel-${tab}`).hidden = !isShown;
  }
  $("skip").href = name === "classify" ? "#results" : `#${name}-results`;
  if (focus) $(`tab-${name}`).focus();
}

const shownTab = () => TABS.find((tab) => !$(`panel-${tab}`).hidden);

function tabOfAddress() {
  const name = location.hash.slice(1);
  if (TABS.includes(name)) showTab(name, false);
}

function startTabs() {
  for (const tab of TABS) $(`tab-${tab}`).addEventListener("click", () => { showTab(tab, false); history.replaceState(null, "", `#${tab}`); });
  $("tabs").addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -TABS.indexOf(shownTab()), End: TABS.length - 1 - TABS.indexOf(shownTab()) };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(shownTab()) + steps[event.key] + TABS.length) % TABS.length];
    showTab(next, true);
    history.replaceState(null, "", `#${next}`);
  });
  addEventListener("hashchange", tabOfAddress);
  tabOfAddress();
}

/* A box that scrolls sideways, and says so where it does. */
function sideways(name, content) {
  const hint = make("p", { class: "hint", hidden: true }, words.sideways);
  const box = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name }, content);
  new ResizeObserver(() => { hint.hidden = box.scrollWidth <= box.clientWidth; }).observe(box);
  return make("div", {}, hint, box);
}

/* Downloads. */
const lines = (values) => values.map((value) => JSON.stringify(value) + "\n").join("");

/* A cell that no spreadsheet takes for a formula. */
function csvCell(value) {
  let text = value === null || value === undefined ? "" : String(value);
  if (/^[=+\-@\t\r]/.test(text) && !/^-?[0-9.]+$/.test(text)) text = "'" + text;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function save(name, type, text) {
  const link = make("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/* Setting up. */
async function start() {
  const wanted = new URLSearchParams(location.search).get("lang") || navigator.language || "en";
  theme(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  $("source").append(...data.sets.map((set) => make("option", { value: set.name }, set.name)), make("option", { value: "own", "data-t": "own" }, words.own));
  examples();
  chooseSource();
  startAsk();
  startCompare();
  startTabs();
  translate(wanted.startsWith("zh") ? "zh" : "en");
  try {
    state.info = (await ask("/info", {})).json;
    if (state.info.label_sets.length) {
      $("source").prepend(make("option", { value: "server", "data-t": "ofServer" }, words.ofServer));
      $("source").value = "server";
      chooseSource();
    }
    about();
  } catch (error) { problem(say("problem", error.message)); }
  document.documentElement.dataset.ready = "yes";
}

$("form").addEventListener("submit", classify);
$("text").addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) $("form").requestSubmit(); });
$("files").addEventListener("change", () => { takeFiles($("files").files); $("files").value = ""; });
$("source").addEventListener("change", chooseSource);
$("add").addEventListener("click", () => addSet("", ""));
$("curl").addEventListener("click", copyCurl);
$("training").addEventListener("click", () => save("corrections.jsonl", "application/jsonl", lines([...state.corrections.values()])));
$("language").addEventListener("change", () => translate($("language").value));
$("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    const zone = event.target.closest ? event.target.closest(".drop") : null;
    for (const drop of document.querySelectorAll(".drop")) {
      drop.classList.toggle("over", kind === "dragover" && (drop === zone || (drop.id === "drop" && shownTab() === "classify")));
    }
    if (kind !== "drop" || !event.dataTransfer.files.length) return;
    if (shownTab() === "classify") takeFiles(event.dataTransfer.files);
    if (shownTab() === "compare") dropToCompare(event);
  });
}
start();
