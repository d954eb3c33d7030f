/* Compare: two contracts. */
const SIDES = ["old", "new"];

function showCompared() {
  for (const side of SIDES) {
    const file = state.sides[side];
    $(`${side}-text`).disabled = file !== null;
    $(`${side}-chosen`).replaceChildren(...(file ? [make("li", {}, make("span", {}, file.name),
      make("button", { type: "button", "data-remove": file.name, "aria-label": say("remove", file.name), onclick: () => takeSide(side, null) }, "×"))] : []));
  }
}

function takeSide(side, file) {
  state.sides[side] = file;
  showCompared();
}

/* A file that is dropped on no side goes to the first that is empty. */
function dropToCompare(event) {
  const zone = event.target.closest ? event.target.closest("[data-side]") : null;
  const isEmpty = (side) => state.sides[side] === null && !$(`${side}-text`).value.trim();
  let side = zone ? zone.dataset.side : SIDES.find(isEmpty) || "new";
  for (const file of [...event.dataTransfer.files].slice(0, 2)) {
    takeSide(side, file);
    side = side === "old" ? "new" : SIDES.find(isEmpty) || side;
  }
}

function compareForm(format) {
  const body = new FormData();
  for (const side of SIDES) {
    const file = state.sides[side], text = $(`${side}-text`).value;
    if (file) body.append(side, file, file.name);
    else body.append(side, new Blob([text], { type: "text/plain" }), `${side}.txt`);
  }
  body.append("template", String($("template").checked));
  body.append("format", format);
  return body;
}

async function compareTexts(event) {
  event.preventDefault();
  problem("", "compare");
  Object.assign(state, { compared: null, asksCompared: null });
  renderCompared();
  if (SIDES.some((side) => state.sides[side] === null && !$(`${side}-text`).value.trim())) return problem(words.needTwo, "compare");
  $("compare-go").disabled = true;
  $("compare-said").textContent = words.comparing;
  // What is downloaded later is what was compared now.
  const [json, html, docx] = ["json", "html", "docx"].map(compareForm);
  try {
    const answer = await ask("/v1/compare", { method: "POST", body: json });
    Object.assign(state, { compared: answer.json, asksCompared: { html, docx } });
    renderCompared();
    $("compare-results").scrollIntoView({ block: "nearest" });
    $("compare-said").textContent = countsInWords();
  } catch (error) {
    $("compare-said").textContent = "";
    problem(say("problem", error.message), "compare");
  } finally { $("compare-go").disabled = false; }
}

async function downloadCompared(format) {
  problem("", "compare");
  try {
    const response = await fetch("/v1/compare", { method: "POST", body: state.asksCompared[format] }).catch(() => { throw new Error(words.unreachable); });
    if (!response.ok) {
      const json = await response.json().catch(() => null);
      throw new Error(json && json.error ? json.error.message : response.statusText);
    }
    save(`comparison.${format}`, response.headers.get("content-type"), await response.blob());
  } catch (error) { problem(say("problem", error.message), "compare"); }
}

const relationName = (name) => words.relations[name] || name;
/* What there is of each relation, in the order in which the words have them. */
const countsOf = (compared) => Object.keys(words.relations).filter((name) => name in compared.counts).map((name) => [name, compared.counts[name]]);
const countsInWords = () => countsOf(state.compared).map(([name, count]) => `${count} ${relationName(name)}`).join(", ");
const titleOf = (clauses) => clauses.map((clause) => clause.heading && clause.heading !== clause.number ? `${clause.number} ${clause.heading}`.trim() : clause.number).join(", ");

function renderCompared() {
  const compared = state.compared;
  $("compare-nothing").hidden = compared !== null;
  if (compared === null) return $("compare-answer").replaceChildren();
  const box = make("div", {},
    make("p", { class: "meta" }, `${compared.old.source} → ${compared.new.source}`),
    make("ul", { class: "chips counts" }, ...countsOf(compared).map(([name, count]) => make("li", { class: name.replaceAll(" ", "-") }, `${count} ${relationName(name)}`))));
  for (const side of SIDES) {
    for (const what of compared[side].left_out) box.append(make("p", { class: "alert" }, say("leftOut", what, compared[side].source)));
  }
  box.append(make("div", { class: "row" },
    make("button", { type: "button", id: "save-html", onclick: () => downloadCompared("html") }, words.saveHtml),
    make("button", { type: "button", id: "save-docx", onclick: () => downloadCompared("docx") }, words.saveDocx)));
  box.append(make("h3", {}, words.whatChanged), changesTable(), ...movesList(), make("h3", {}, words.clauses), ...clausePairs());
  $("compare-answer").replaceChildren(box);
}

/* The values, duties and terms that differ, before any text. */
function changesTable() {
  const rows = state.compared.pairs.flatMap((pair, at) => pair.changes.map((change) => ({ change, at })));
  if (!rows.length) return make("p", { class: "hint" }, words.noChanges);
  const titles = [words.clause, words.kind, words.oldText, words.newText, words.verdict];
  const row = ({ change, at }) => {
    const link = make("a", { href: `#clause-${at}`, onclick: (event) => { event.preventDefault(); openClause(at); } }, change.place || "–");
    const cells = [link, words.changeKinds[change.kind] || change.kind, change.a ? change.a.text : "–", change.b ? change.b.text : "–", make("span", { class: `verdict ${change.verdict}` }, words.verdicts[change.verdict] || change.verdict)];
    return make("tr", { role: "row", class: change.verdict }, ...cells.map((cell, column) => make("td", { role: "cell", "data-title": titles[column] }, cell)));
  };
  // The roles stay where a narrow window shows the rows as lists.
  return make("table", { class: "stack", role: "table" },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...titles.map((title) => make("th", { role: "columnheader", scope: "col" }, title)))),
    make("tbody", { role: "rowgroup" }, ...rows.map(row)));
}

function openClause(at) {
  const box = $(`clause-${at}`);
  box.open = true;
  box.querySelector("summary").focus();
  box.scrollIntoView({ block: "start" });
}

function movesList() {
  const moved = state.compared.pairs.filter((pair) => pair.moved);
  if (!moved.length) return [];
  return [make("h3", {}, words.whatMoved), make("ul", { class: "moves" }, ...moved.map((pair) => make("li", {}, `${titleOf(pair.a)} → ${titleOf(pair.b)}`)))];
}

/* The clauses in the order of the new contract; beside a template, what is missing or added comes first. */
function clausePairs() {
  const order = (pair) => !state.compared.template ? 0 : ["only-in-old", "only-in-new"].indexOf(pair.relation) + 3 * !["only-in-old", "only-in-new"].includes(pair.relation);
  return state.compared.pairs.map((pair, at) => ({ pair, at })).sort((x, y) => order(x.pair) - order(y.pair)).map(({ pair, at }) => clausePair(pair, at));
}

function clausePair(pair, at) {
  const isPlain = ["same", "renumbered", "moved"].includes(pair.relation);
  const relation = relationName(pair.relation) + (pair.moved && pair.relation !== "moved" ? `, ${relationName("moved")}` : "");
  const more = pair.a.length && pair.b.length ? [say("confidence", pair.confidence.toFixed(2))] : [];
  if (pair.perhaps) more.push(say("perhaps", pair.perhaps.join(", ")));
  const summary = make("summary", {}, make("b", {}, titleOf(pair.b.length ? pair.b : pair.a)), " ", make("span", { class: `tag ${pair.relation}` }, relation), " ", make("span", { class: "meta" }, more.join(" · ")));
  return make("details", { id: `clause-${at}`, class: "clause", open: !isPlain }, summary,
    make("div", { class: "sides" }, clauseSide(pair, "a", words.oldText), clauseSide(pair, "b", words.newText)));
}

function clauseSide(pair, side, name) {
  const clauses = pair[side];
  const box = make("div", {}, make("h4", {}, clauses.length ? `${name}: ${titleOf(clauses)}` : name));
  if (!clauses.length) {
    box.append(make("p", { class: "hint" }, words.notThere));
    return box;
  }
  const own = side === "a" ? "deleted" : "inserted";
  const pieces = pair.redline || [{ kind: "same", text: clauses.map((clause) => clause.text).join("\n") }];
  const text = make("p", { class: "passage" });
  for (const piece of pieces) {
    if (piece.kind === "same") text.append(piece.text);
    else if (piece.kind === own) text.append(make(side === "a" ? "del" : "ins", {}, piece.text));
  }
  box.append(text);
  return box;
}

function startCompare() {
  $("compare-form").addEventListener("submit", compareTexts);
  for (const side of SIDES) {
    $(`${side}-file`).addEventListener("change", () => {
      if ($(`${side}-file`).files.length) takeSide(side, $(`${side}-file`).files[0]);
      $(`${side}-file`).value = "";
    });
  }
}
