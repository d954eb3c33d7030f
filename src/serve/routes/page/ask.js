/* Ask: passages of the index. */
const KINDS = ["mail", "document", "faq", "contract"];

function indexOfServer() {
  const index = state.info && state.info.index;
  return index && !index.error ? index : null;
}

/* What there is to search, once the server has said so. */
function aboutIndex() {
  const index = indexOfServer();
  $("no-index").hidden = !state.info || index !== null;
  $("no-index").textContent = state.info && state.info.index && state.info.index.error || words.noIndex;
  $("ask-fields").disabled = $("ask-fields").hidden = index === null;
  $("of-index").textContent = index ? say("ofIndex", index.passages) : "";
  $("rerank-row").hidden = !(index && index.reranker);
  $("by-words").hidden = !index || index.by_vectors;
  $("by-words").textContent = index && index.model ? say("otherModel", index.model) : words.noVectors;
  for (const option of $("mode").options) option.disabled = option.value === "semantic" && index !== null && !index.by_vectors;
}

function searchBody() {
  const filters = {};
  for (const name of ["from", "since", "until", "kind"]) {
    const value = $(`filter-${name}`).value.trim();
    if (value) filters[name] = value;
  }
  const body = { query: $("question").value, mode: $("mode").value, top: Number($("ask-top").value) || 10, filters };
  if ($("instruct").value.trim()) body.instruct = $("instruct").value.trim();
  if ($("rerank").checked && !$("rerank-row").hidden) body.rerank = true;
  return body;
}

async function search(event) {
  event.preventDefault();
  // Enter sends a form whose button is disabled, and an answer to the question before would stand under this one.
  if ($("ask-go").disabled) return;
  problem("", "ask");
  state.found = null;
  renderFound();
  if (!$("question").value.trim()) return problem(words.noQuestion, "ask");
  const body = searchBody();
  $("ask-go").disabled = true;
  $("ask-said").textContent = words.searching;
  try {
    const answer = await ask("/v1/search", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    state.found = { answer: answer.json, rerank: body.rerank === true };
    renderFound();
    $("ask-results").scrollIntoView({ block: "nearest" });
    $("ask-said").textContent = foundSummary();
  } catch (error) {
    $("ask-said").textContent = "";
    problem(say("problem", error.message), "ask");
  } finally { $("ask-go").disabled = false; }
}

function foundSummary() {
  const { answer } = state.found;
  if (!answer.results.length) return words.foundNothing;
  return answer.answered !== false ? say("found", answer.results.length) : words.notAnswered;
}

function renderFound() {
  const isThere = state.found !== null;
  $("ask-nothing").hidden = isThere;
  if (!isThere) return $("ask-answer").replaceChildren();
  const { answer, rerank } = state.found;
  const box = make("div", {}, make("p", { class: answer.answered !== false ? "hint" : "alert" }, foundSummary()));
  if (rerank && !answer.reranked && answer.results.length) box.append(make("p", { class: "alert" }, words.notReranked));
  if (answer.results.length) box.append(make("ol", { class: "passages" }, ...answer.results.map(passage)));
  $("ask-answer").replaceChildren(box);
}

/* Where a passage stands: file, subject or heading, date, sender. */
function citation(result) {
  const file = result.source.split(/[\\/]/).pop() || result.source;
  const place = result.kind === "document" || result.kind === "contract" || !result.index ? file : `${file} [${result.index}]`;
  const heading = result.head.split("\n").pop();
  const parts = [result.subject, result.kind === "mail" || heading === result.subject ? null : heading, result.date && result.date.slice(0, 10), result.from, result.label];
  const cited = make("p", { class: "cited", title: result.source }, make("b", {}, place));
  for (const part of parts) if (part) cited.append(" · ", part);
  return cited;
}

/* A text with marks; the ranges are bytes of UTF-8. */
function marked(text, ranges) {
  const bytes = new TextEncoder().encode(text), decoder = new TextDecoder();
  const piece = (from, to) => decoder.decode(bytes.subarray(from, to));
  const box = make("p", { class: "passage" });
  let at = 0;
  for (const [start, end] of ranges) {
    box.append(piece(at, start), make("mark", {}, piece(start, end)));
    at = end;
  }
  box.append(piece(at, bytes.length));
  return box;
}

function passage(result) {
  const scores = [["rerankerScore", result.reranker], ["cosine", result.cosine], ["keywordRank", result.keyword_rank]].filter(([, value]) => value !== null);
  const shown = (key, value) => say(key, key === "keywordRank" ? value : value.toFixed(4));
  const item = make("li", {}, citation(result), marked(result.text, result.highlights),
    make("ul", { class: "chips" }, ...scores.map(([key, value]) => make("li", {}, shown(key, value)))));
  if (result.more_in_thread) item.append(make("p", { class: "meta" }, say("inThread", result.more_in_thread)));
  for (const other of result.also || []) item.append(make("p", { class: "meta" }, say("also", `${other.source} [${other.index}]`)));
  item.append(make("p", { class: "meta path" }, result.source));
  return item;
}

function startAsk() {
  $("filter-kind").append(make("option", { value: "", "data-t": "anyKind" }), ...KINDS.map((kind) => make("option", { value: kind, "data-t": `kind_${kind}` })));
  $("ask-form").addEventListener("submit", search);
  $("question").addEventListener("keydown", (event) => {
    // While an input method composes a word, Enter chooses it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    $("ask-form").requestSubmit();
  });
}
