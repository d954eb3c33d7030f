/* Classify. */
function addSet(name, text) {
  const number = $("sets").children.length + 1;
  const box = make("fieldset", { class: "set" },
    make("label", { for: `name${number}`, "data-t": "setName" }, words.setName),
    make("input", { id: `name${number}`, class: "name", value: name }),
    make("label", { for: `labels${number}`, "data-t": "setLabels" }, words.setLabels),
    make("textarea", { id: `labels${number}`, class: "labels", spellcheck: "false" }));
  box.querySelector("textarea").value = text;
  if (number > 1) box.append(make("div", { class: "row" }, make("button", { type: "button", "data-t": "removeSet", onclick: () => box.remove() }, words.removeSet)));
  $("sets").append(box);
}

function chooseSource() {
  const value = $("source").value;
  $("sets").replaceChildren();
  const isServer = value === "server";
  $("add").hidden = isServer;
  if (isServer) return;
  const shipped = data.sets.find((set) => set.name === value);
  addSet(shipped ? shipped.name : "label", shipped ? shipped.text : "");
}

function ownSets() {
  if ($("source").value === "server") return [];
  return [...$("sets").children].map((box) => ({ name: box.querySelector(".name").value.trim() || "label", text: box.querySelector(".labels").value }));
}

/* Files. */
function showFiles() {
  $("chosen").replaceChildren(...state.files.map((file, at) => make("li", {}, make("span", {}, file.name),
    make("button", { type: "button", "data-remove": file.name, "aria-label": say("remove", file.name), onclick: () => { state.files.splice(at, 1); showFiles(); } }, "×"))));
}

function takeFiles(list) {
  state.files.push(...list);
  showFiles();
}

const endingOf = (text) => /^\s*\[\[label\]\]\s*$/m.test(text) ? ".toml" : ".txt";

/* A text is a mail if it begins with header fields, of which one is of mail. */
function pastedName(text) {
  const head = text.replace(/^\s*\n/, "").split(/\r?\n\r?\n/)[0].split(/\r?\n/);
  const isField = (line) => /^[A-Za-z][A-Za-z0-9-]*:/.test(line), isNext = (line) => /^[ \t]/.test(line);
  const isKnown = (line) => /^(from|to|subject|date|message-id|received|return-path|mime-version):/i.test(line);
  return isField(head[0]) && head.every((line) => isField(line) || isNext(line)) && head.some(isKnown) ? "pasted.eml" : "pasted.txt";
}

function form(forShow) {
  const body = new FormData();
  const text = $("text").value;
  if (text.trim()) body.append("file", new Blob([text], { type: "application/octet-stream" }), pastedName(text));
  for (const file of state.files) body.append("file", file, file.name);
  if (!forShow) {
    for (const set of ownSets()) body.append("labels", new Blob([set.text], { type: "text/plain" }), set.name + endingOf(set.text));
    body.append("top_k", $("top").value || "5");
    if ($("threshold").value) body.append("threshold", $("threshold").value);
  }
  return body;
}

async function classify(event) {
  event.preventDefault();
  problem("");
  if (!$("text").value.trim() && !state.files.length) {
    state.records = [];
    render();
    return problem(words.empty);
  }
  $("go").disabled = true;
  $("said").textContent = words.working;
  try {
    const [answer, shown] = await Promise.all([ask("/v1/classify", { method: "POST", body: form(false) }), ask("/v1/show", { method: "POST", body: form(true) })]);
    Object.assign(state, { records: answer.json.records, shown: shown.json.records, request: answer.request, own: ownSets().length > 0, asked: { threshold: $("threshold").value, sets: ownSets() } });
    render();
    $("results").scrollIntoView({ block: "nearest" });
    $("said").textContent = summary();
  } catch (error) {
    // What was answered before is no answer to this.
    state.records = [];
    render();
    $("said").textContent = "";
    problem(say("problem", error.message));
  } finally { $("go").disabled = false; }
}

const setsOf = (record) => record.sets ? Object.entries(record.sets) : record.labels && !record.error ? [["", record]] : [];

function summary() {
  if (state.records.length !== 1) return say("documents", state.records.length);
  const record = state.records[0];
  return record.error || setsOf(record).map(([name, set]) => say("classified", name || words.label, set.label || words.unsure, set.score)).join(" ");
}

function thresholdOf(set, label) {
  const known = state.own || !state.info ? null : state.info.label_sets.find((one) => !set || one.name === set);
  const own = known && (known.labels.find((one) => one.name === label) || {}).threshold;
  return own ?? (state.asked && state.asked.threshold ? Number(state.asked.threshold) : null);
}

function bars(name, set) {
  const rows = set.labels.map((scored, at) => {
    const threshold = thresholdOf(name, scored.label);
    const track = make("div", { class: "track", "aria-hidden": "true" }, make("div", { class: "fill", style: `width:${Math.max(0, Math.min(1, scored.score)) * 100}%` }));
    if (threshold !== null) track.append(make("div", { class: "mark", title: say("mark", threshold), style: `left:${threshold * 100}%` }));
    const row = make("li", { class: at === 0 && set.label !== null ? "best" : "" }, make("span", { class: "name" }, scored.label), track, make("span", { class: "score" }, scored.score.toFixed(4)));
    if (threshold !== null) row.append(make("span", { class: "quiet" }, say("mark", threshold)));
    return row;
  });
  return make("ol", { class: "bars" }, ...rows);
}

function details(shown) {
  const box = make("details", { class: "sees" }, make("summary", {}, words.sees));
  for (const [key, value] of [["subject", shown.subject], ["from", shown.from], ["attached", (shown.attachments || []).join(", ")]]) {
    if (value) box.append(make("p", { class: "meta" }, `${words[key]}: ${value}`));
  }
  if (shown.body !== null && shown.body !== undefined) box.append(make("pre", { tabindex: "0" }, shown.body));
  const removed = shown.removed || [];
  if (!removed.length) box.append(make("p", { class: "hint" }, words.nothingCut));
  for (const cut of removed) box.append(make("p", { class: "meta" }, say("cutBy", words.steps[cut.step] || cut.step)), make("pre", { class: "cut", tabindex: "0" }, cut.text));
  return box;
}

/* Every label of a set, as far as it is known here. */
function labelsOf(name, set) {
  if (!state.own && state.info) {
    const known = state.info.label_sets.find((one) => !name || one.name === name);
    if (known) return known.labels.map((label) => label.name);
  }
  const given = state.asked.sets.find((one) => !name || one.name === name);
  const names = given ? given.text.split("\n").map((line) => line.trim()).filter((line) => line && !line.startsWith("#")).map((line) => line.split(/[:：]/)[0].trim()) : [];
  const isToml = given && endingOf(given.text) === ".toml";
  return isToml || !names.length ? set.labels.map((scored) => scored.label) : names;
}

function correction(at, name, set) {
  const id = `right${at}-${name}`;
  const select = make("select", { id }, make("option", { value: "?" }, "–"), ...labelsOf(name, set).map((label) => make("option", { value: "=" + label }, label)), make("option", { value: "" }, words.none));
  const status = make("span", { class: "hint", role: "status" });
  const send = async () => {
    if (select.value === "?") { select.focus(); return; }
    const label = select.value ? select.value.slice(1) : null;
    const shown = state.shown[at];
    state.corrections.set(`${state.request}/${at}/${name}`, { text: shown.body || "", subject: shown.subject, from: shown.from, label, ...(name ? { set: name } : {}) });
    status.textContent = say("thanks", label === null ? words.none : label);
    renderCorrections();
    if (state.own) return;
    const body = { id: `${state.request}/${at}`, label };
    if (name) body.set = name;
    try { await ask("/v1/feedback", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }); } catch (error) { problem(say("problem", error.message)); }
  };
  return make("div", { class: "row wrong" }, make("div", {}, make("label", { for: id }, words.wrong), select), make("button", { type: "button", onclick: send }, words.correct), status);
}

function one(at) {
  const record = state.records[at], shown = state.shown[at] || {};
  const box = make("div", {});
  if (record.error) box.append(make("p", { class: "alert" }, record.error));
  for (const [name, set] of setsOf(record)) {
    if (name) box.append(make("h3", {}, name));
    if (set.label === null) box.append(make("p", { class: "hint" }, words.unsure));
    box.append(bars(name, set));
    if (set.by) box.append(make("p", { class: "meta" }, say("by", set.by)));
    box.append(correction(at, name, set));
  }
  box.append(make("p", { class: "meta" }, `${say("model", record.model)} · ${say("tokens", record.tokens)}`));
  if (record.truncated) box.append(make("p", { class: "alert" }, words.cut));
  box.append(details(shown));
  return box;
}

function table() {
  const cell = (set) => [set.label === null ? "–" : set.label, set.labels[0] ? set.labels[0].score.toFixed(4) : "", set.labels[1] ? `${set.labels[1].label} ${set.labels[1].score.toFixed(4)}` : ""];
  const names = setsOf(state.records.find((record) => !record.error) || {}).map(([name]) => name);
  const head = [words.document, ...names.flatMap((name) => [name || words.label, words.score, words.next]), ""];
  const body = make("tbody");
  state.records.slice(0, SHOWN).forEach((record, at) => {
    const cells = record.error ? [make("td", { colspan: Math.max(1, 3 * names.length) }, record.error)]
      : setsOf(record).flatMap(([, set]) => cell(set).map((text, column) => make("td", { class: column === 1 ? "number" : "" }, text)));
    const detail = make("tr", { hidden: true });
    const open = make("button", { type: "button", "aria-expanded": "false", onclick: () => {
      if (!detail.firstChild) detail.append(make("td", { colspan: head.length }, one(at)));
      detail.hidden = !detail.hidden;
      open.setAttribute("aria-expanded", String(!detail.hidden));
    } }, words.show);
    body.append(make("tr", {}, make("th", { scope: "row" }, record.subject || `${record.source} [${record.index}]`), ...cells, make("td", {}, open)), detail);
  });
  const box = make("div", {}, make("p", {}, say("documents", state.records.length)));
  if (state.records.length > SHOWN) box.append(make("p", { class: "hint" }, say("more", SHOWN)));
  box.append(make("div", { class: "row" }, make("button", { type: "button", id: "csv", onclick: () => save("mailsort.csv", "text/csv", csv()) }, words.csv),
    make("button", { type: "button", id: "jsonl", onclick: () => save("mailsort.jsonl", "application/jsonl", lines(state.records)) }, words.jsonl)));
  box.append(sideways(words.results, make("table", {}, make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), body)));
  return box;
}

function render() {
  const isThere = state.records.length > 0;
  $("nothing").hidden = isThere;
  $("answer").replaceChildren(...(isThere ? [state.records.length === 1 ? one(0) : table()] : []));
  renderCorrections();
}

function renderCorrections() {
  $("corrections").hidden = state.corrections.size === 0;
  $("corrected").textContent = say("count", state.corrections.size);
}

function csv() {
  const first = state.records.find((record) => !record.error) || {};
  const names = setsOf(first).map(([name]) => name);
  const columns = ["source", "index", "id", "subject", ...names.flatMap((name) => name ? [`${name} label`, `${name} score`] : ["label", "score"]), "model", "tokens", "truncated", "error"];
  const row = (record) => {
    const sets = setsOf(record);
    const scored = names.flatMap((_, at) => sets[at] ? [sets[at][1].label, sets[at][1].score] : ["", ""]);
    return [record.source, record.index, record.id, record.subject, ...scored, record.model, record.tokens, record.truncated, record.error];
  };
  return "\ufeff" + [columns, ...state.records.map(row)].map((cells) => cells.map(csvCell).join(",") + "\r\n").join("");
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function command() {
  const parts = [`curl -s ${quoted(location.origin + "/v1/classify")}`];
  const text = $("text").value;
  if (text.trim()) parts.push(`-F 'file=@-;filename=${pastedName(text)}'`);
  for (const file of state.files) parts.push("-F " + quoted(`file=@"${file.name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`));
  for (const set of ownSets()) {
    const value = set.text.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
    parts.push("-F " + quoted(`labels="${value}";filename="${set.name.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}${endingOf(set.text)}"`));
  }
  parts.push(`-F top_k=${$("top").value || 5}`);
  if ($("threshold").value) parts.push(`-F threshold=${$("threshold").value}`);
  let end = "MAILSORT";
  while (text.split("\n").includes(end)) end += "_";
  return parts.join(" \\\n  ") + (text.trim() ? ` <<'${end}'\n${text}\n${end}` : "") + "\n";
}

async function copyCurl() {
  const text = command();
  try {
    await navigator.clipboard.writeText(text);
    $("copied").textContent = words.copied;
  } catch {
    $("copied").replaceChildren(words.noCopy, make("pre", { tabindex: "0" }, text));
  }
}

function examples() {
  $("examples").append(...data.examples.map((example) => make("button", { type: "button", lang: example.lang, onclick: () => {
    $("text").value = example.text;
    state.files = [];
    showFiles();
    if ($("source").value !== "server" || example.own) { $("source").value = example.set; chooseSource(); }
    $("text").focus();
  } }, example.name)));
}

