//! Questions to the index of a server: answers are those of `mailsort search`.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::Server;
use crate::endpoint::mortal_reranker;
use crate::mailsort::{mailsort, root};

const FAQ: &str = "id,question,answer\n\
    f1,How do I return a parcel?,Within 30 days with the label that lies in the parcel.\n\
    f2,Wie kann ich mein Passwort ändern?,In den Einstellungen unter Sicherheit.\n\
    f3,发票什么时候开具？,收到货款后五个工作日内开具电子发票。\n";

const MAIL: &str = "From ann@example.com Mon Jun 17 10:00:00 2024\nMessage-ID: <1@x>\nFrom: Ann <ann@example.com>\n\
    Date: Mon, 17 Jun 2024 10:00:00 +0200\nSubject: The zeppelin hangar\n\nThe zeppelin hangar needs a new roof before winter.\n\n\
    From ben@example.com Tue Jun 18 10:00:00 2024\nMessage-ID: <2@x>\nFrom: Ben <ben@example.com>\n\
    Date: Tue, 18 Jun 2024 10:00:00 +0200\nSubject: Re: The zeppelin hangar\nIn-Reply-To: <1@x>\n\nThe roofer sees the zeppelin on Thursday.\n";

/// A folder with documents and an index of them, for other tests too.
pub struct Base {
    folder: TempDir,
}

impl Base {
    pub fn new() -> Self {
        let base = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(base.path("docs")).unwrap();
        base.put("faq.csv", FAQ);
        base.put("mail.mbox", MAIL);
        fs::copy(root().join("examples/contracts/supply-2025.md"), base.path("docs/supply.md")).unwrap();
        base.index("kb.db", &["docs"]);
        base
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The flags of a server of this index.
    pub fn flags(&self) -> [String; 2] {
        ["--index".into(), self.path("kb.db").to_str().unwrap().into()]
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.path("docs").join(name), text).unwrap();
    }

    fn index(&self, into: &str, flags: &[&str]) {
        let run = mailsort(["index", "--quiet", "--into", into]).args(flags).in_folder(self.folder.path());
        let output = run.output();
        assert!(output.status.success(), "{output:?}");
    }

    fn server(&self, flags: &[&str]) -> Server {
        let own = self.flags();
        Server::bare(&[&[own[0].as_str(), &own[1]], flags].concat())
    }

    /// What the command prints.
    fn command(&self, question: &str, flags: &[&str]) -> Value {
        let run = mailsort(["search", "kb.db", question, "--format", "jsonl"]).args(flags);
        let output = run.in_folder(self.folder.path()).output();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }
}

fn ask(server: &Server, body: &Value) -> Value {
    let answer = server.post("/v1/search", body.clone());
    assert_eq!(answer.status, 200, "{body}: {answer:?}");
    answer.json()
}

/// Ids, or names of files, of what is found.
fn found(answer: &Value) -> Vec<String> {
    let name = |result: &Value| {
        let source =
            || Path::new(result["source"].as_str().unwrap()).file_name().unwrap().to_string_lossy().into_owned();
        result["id"].as_str().map_or_else(source, String::from)
    };
    answer["results"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn answers_are_those_of_the_command() {
    let base = Base::new();
    let server = base.server(&[]);
    assert!(!server.said.contains("words only"), "{}", server.said);
    let docs = base.path("docs/supply.md");
    for (body, flags, first) in [
        (json!({"query": "may the buyer cancel a late order?"}), &[][..], "supply.md"),
        (json!({"query": "return a parcel", "top": 2, "explain": true}), &["-k", "2", "--explain"], "f1"),
        (json!({"query": "发票 电子", "mode": "keyword"}), &["--keyword"], "f3"),
        (json!({"query": "Passwort vergessen", "mode": "semantic", "top": 3}), &["--semantic", "-k", "3"], "f2"),
        (json!({"query": "zeppelin roof", "every_passage": true}), &["--every-passage"], "<1@x>"),
        (json!({"query": "zeppelin", "filters": {"from": "BEN"}}), &["--from", "BEN"], "<2@x>"),
        (
            json!({"query": "zeppelin", "filters": {"since": "2024-06-17", "until": "2024-06-18"}, "mode": "keyword"}),
            &["--since", "2024-06-17", "--until", "2024-06-18", "--keyword"],
            "<1@x>",
        ),
        (json!({"query": "zeppelin", "filters": {"kind": "faq"}}), &["--kind", "faq"], ""),
        (json!({"query": "days", "filters": {"path": docs}}), &["--path", docs.to_str().unwrap()], "supply.md"),
        (json!({"query": "days", "filters": {"label": "none"}}), &["--label", "none"], "nothing"),
    ] {
        let answer = ask(&server, &body);
        assert_eq!(answer, base.command(body["query"].as_str().unwrap(), flags), "{body}");
        match first {
            "" => assert!(found(&answer).iter().all(|id| id.starts_with('f')), "{answer}"),
            "nothing" => assert!(found(&answer).is_empty(), "{answer}"),
            first => assert_eq!(found(&answer)[0], first, "{body} {answer}"),
        }
    }
    let mail = ask(&server, &json!({"query": "zeppelin hangar"}));
    assert_eq!(mail["results"][0]["date"], "2024-06-17T08:00:00Z", "{mail}");
    assert!(mail["results"][0]["cosine"].is_f64() && mail["results"][0]["more_in_thread"] == 1, "{mail}");
    let info = server.get("/info").json();
    let passages = info["index"]["passages"].as_u64().unwrap();
    assert_eq!(info["index"], json!({"model": "builtin", "passages": passages, "by_vectors": true, "reranker": false}));
    assert!(passages > 10, "{info}");
    let metrics = server.get("/metrics").body;
    assert!(metrics.contains("mailsort_http_requests_total{endpoint=\"/v1/search\",status=\"200\"} 11"), "{metrics}");
}

#[test]
fn what_is_no_question_is_refused() {
    let base = Base::new();
    let server = base.server(&[]);
    let long = "x".repeat(10_001);
    for (body, why) in [
        (json!({}), "missing field `query`"),
        (json!({"query": " \n"}), "`query` is empty"),
        (json!({"query": long}), "longer than 10000 bytes"),
        (json!({"query": "x", "top": 0}), "`top` is 1 to 100"),
        (json!({"query": "x", "top": 101}), "`top` is 1 to 100"),
        (json!({"query": "x", "limit": 5}), "unknown field `limit`"),
        (json!({"query": "x", "filters": {"sender": "a"}}), "unknown field `sender`"),
        (json!({"query": "x", "filters": {"since": "yesterday"}}), "a day such as 2024-06-17"),
        (json!({"query": "x", "filters": {"kind": "letter"}}), "expected one of `mail`, `document`, `faq`, `contract`"),
        (json!({"query": "x", "filters": {"path": ""}}), "path is empty"),
        (json!({"query": "x", "mode": "fuzzy"}), "unknown variant `fuzzy`"),
        (json!({"query": "x", "instruct": "a\nb"}), "one line"),
        (json!({"query": "x", "rerank": true}), "--model qwen3-reranker-0.6b"),
        (json!({"query": "x", "rerank_top": 5}), "needs \"rerank\": true"),
        (json!({"query": "x", "rerank": true, "rerank_top": 1000}), "`rerank_top` is 1 to 100"),
    ] {
        let answer = server.post("/v1/search", body.clone());
        assert!(answer.status == 400 && answer.message().contains(why), "{body}: {answer:?}");
    }
    // A text of a user is neither SQL nor syntax of a query.
    for query in ["\" OR 1=1; DROP TABLE units; --", "NEAR(a b) AND *", "'''", "\u{0}zeppelin"] {
        ask(&server, &json!({"query": query, "filters": {"from": query, "label": query}}));
    }
    assert_eq!(found(&ask(&server, &json!({"query": "zeppelin hangar"})))[0], "<1@x>");
}

#[test]
fn a_server_without_an_index_says_how_to_get_one() {
    let server = Server::bare(&[]);
    let answer = server.post("/v1/search", json!({"query": "x"}));
    assert!(answer.status == 404 && answer.message().contains("--index FILE"), "{answer:?}");
    assert!(server.get("/info").json()["index"].is_null());
    // A wrong file is named before a model is looked for.
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.db");
    fs::write(&other, "no database, but long enough to be one ".repeat(100)).unwrap();
    for (index, why) in [(folder.path().join("none.db"), "there is none"), (other, "it is no database")] {
        let run = mailsort(["serve", "--listen", "127.0.0.1:0", "--model", "no/such-model", "--offline", "--index"]);
        let output = run.args([&index]).output();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(why), "{said}");
        assert!(said.contains(index.to_str().unwrap()) && !said.contains("such-model"), "{said}");
    }
}

#[test]
fn vectors_of_another_model_are_not_compared() {
    let base = Base::new();
    let server = base.server(&["--model", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-bert")]);
    assert!(server.said.contains("words only") && server.said.contains("--model builtin"), "{}", server.said);
    let answer = ask(&server, &json!({"query": "zeppelin hangar"}));
    assert_eq!(answer, base.command("zeppelin hangar", &["--keyword"]));
    assert!(answer["results"][0]["cosine"].is_null(), "{answer}");
    let refused = server.post("/v1/search", json!({"query": "zeppelin", "mode": "semantic"}));
    assert!(refused.status == 400 && refused.message().contains("--model builtin"), "{refused:?}");
    assert_eq!(server.get("/info").json()["index"]["by_vectors"], false);
    // Labels and an instruction change no vector.
    let server = base.server(&["--label", "a", "--label", "b", "--instruct", "Find rules"]);
    assert_eq!(server.get("/info").json()["index"]["by_vectors"], true, "{}", server.said);
    // Nor does what was learned from vectors.
    let rows = |label: &str, text: &str| {
        let row = |at| json!({"text": format!("{text} number {at}"), "label": label}).to_string() + "\n";
        (0..12).map(row).collect::<String>()
    };
    fs::write(base.path("labelled.jsonl"), rows("bill", "Please pay") + &rows("date", "Let us meet")).unwrap();
    let classifier = base.path("c.mailsort").display().to_string();
    let run = mailsort(["train", "--quiet", "labelled.jsonl", "--output", &classifier]).in_folder(base.folder.path());
    assert!(run.output().status.success());
    let server = base.server(&["--classifier", &classifier]);
    assert_eq!(server.get("/info").json()["index"]["by_vectors"], true, "{}", server.said);
    base.index("words.db", &["docs", "--no-vectors"]);
    let server = Server::bare(&["--index", base.path("words.db").to_str().unwrap()]);
    assert!(server.said.contains("has no vectors"), "{}", server.said);
    assert_eq!(found(&ask(&server, &json!({"query": "zeppelin hangar"})))[0], "<1@x>");
    let refused = server.post("/v1/search", json!({"query": "zeppelin", "mode": "semantic"}));
    assert!(refused.status == 400 && refused.message().contains("has no vectors"), "{refused:?}");
}

#[test]
fn an_index_that_changes_is_seen() {
    let base = Base::new();
    let server = base.server(&[]);
    let asked = |word: &str| found(&ask(&server, &json!({"query": word, "mode": "keyword"})));
    assert!(asked("axolotl").is_empty());
    base.put("axolotl.txt", "An axolotl lives in the lake.\n");
    base.index("kb.db", &[]);
    assert_eq!(asked("axolotl"), ["axolotl.txt"]);
    // By meaning too: the new vector is there.
    let near = ask(&server, &json!({"query": "axolotl in a lake", "mode": "semantic", "top": 1}));
    assert_eq!(found(&near), ["axolotl.txt"]);
    fs::remove_file(base.path("docs/axolotl.txt")).unwrap();
    base.index("kb.db", &[]);
    assert!(asked("axolotl").is_empty());
    // Another file takes its place.
    fs::create_dir(base.path("others")).unwrap();
    fs::write(base.path("others/wombat.txt"), "A wombat digs.\n").unwrap();
    base.index("new.db", &["others"]);
    #[cfg(unix)]
    {
        fs::rename(base.path("new.db"), base.path("kb.db")).unwrap();
        assert_eq!(asked("wombat"), ["wombat.txt"]);
        assert!(asked("zeppelin").is_empty());
        // Written by the next run as any index is.
        fs::write(base.path("others/numbat.txt"), "A numbat eats termites.\n").unwrap();
        base.index("kb.db", &[]);
        assert_eq!(asked("numbat"), ["numbat.txt"]);
        let whole = mailsort(["index", "--verify", "--into", "kb.db"]).in_folder(base.folder.path()).output();
        assert_eq!(String::from_utf8_lossy(&whole.stdout), "ok\n");
        // What is gone is not searched, and comes back.
        fs::rename(base.path("kb.db"), base.path("away.db")).unwrap();
        let answer = server.post("/v1/search", json!({"query": "wombat"}));
        assert!(answer.status == 503 && answer.message().contains("cannot be read"), "{answer:?}");
        assert!(!answer.body.contains("kb.db"), "{answer:?}");
        fs::rename(base.path("away.db"), base.path("kb.db")).unwrap();
        assert_eq!(asked("wombat"), ["wombat.txt"]);
    }
}

#[test]
fn many_who_ask_get_their_own_answers() {
    let base = Base::new();
    let server = base.server(&[]);
    let questions = ["return a parcel", "Passwort ändern", "电子发票", "zeppelin hangar", "late delivery"];
    let alone: Vec<Value> = questions.iter().map(|query| ask(&server, &json!({"query": query}))).collect();
    thread::scope(|scope| {
        for client in 0..16 {
            let (server, alone) = (&server, &alone);
            scope.spawn(move || {
                for at in (0..20).map(|round| (client + round) % questions.len()) {
                    assert_eq!(ask(server, &json!({"query": questions[at]})), alone[at]);
                }
            });
        }
    });
}

#[test]
fn a_reranker_may_say_that_nothing_answers_and_may_fail() {
    let base = Base::new();
    let is_dead = Arc::new(AtomicBool::new(false));
    let reranker = mortal_reranker(is_dead.clone());
    let server = base.server(&["--endpoint", &reranker.url()]);
    assert!(server.said.contains("words only"), "{}", server.said);
    let answer = ask(&server, &json!({"query": "zeppelin hangar", "rerank": true}));
    assert!(answer["reranked"] == true && answer["answered"] == true, "{answer}");
    assert!(answer["results"][0]["reranker"].as_f64().unwrap() > 0.5, "{answer}");
    let plain = ask(&server, &json!({"query": "zeppelin hangar"}));
    assert!(plain["reranked"] == false && plain["results"][0]["reranker"].is_null(), "{plain}");
    let nothing =
        ask(&server, &json!({"query": "parrots of the roof", "rerank": true, "rerank_top": 1, "mode": "keyword"}));
    assert!(nothing["reranked"] == true, "{nothing}");
    let scored = nothing["results"].as_array().unwrap().iter().filter(|result| result["reranker"].is_f64());
    assert!(scored.count() == 1 && nothing["answered"] == (nothing["results"][0]["reranker"].as_f64().unwrap() >= 0.5));
    let unanswered = ask(&server, &json!({"query": "buy a parrot in the of", "rerank": true}));
    assert!(unanswered["answered"] == false && !found(&unanswered).is_empty(), "{unanswered}");
    is_dead.store(true, Ordering::Release);
    let answer = ask(&server, &json!({"query": "zeppelin hangar", "rerank": true}));
    assert_eq!(answer, plain);
    // It comes back, as servers do.
    is_dead.store(false, Ordering::Release);
    assert_eq!(ask(&server, &json!({"query": "zeppelin hangar", "rerank": true}))["reranked"], true);
}
