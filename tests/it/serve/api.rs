//! What every route answers, in every shape that clients know.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{INVOICE, LABELS, Server};
use crate::mailsort::{mailsort, root};

const MAIL: [(&str, &str); 1] = [("Content-Type", "message/rfc822")];
const CHINESE: [&str; 5] = ["紧急事务", "项目进度", "会议通知", "客户咨询", "系统告警"];

/// The records of `classify` for an input from standard input.
fn classified(flags: &[&str], input: &[u8]) -> Vec<Value> {
    let output = mailsort(["classify", "-"]).args(LABELS).args(flags).stdin(input).output();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn records_are_those_of_classify() {
    let server = Server::start(&[]);
    let mbox = std::fs::read(root().join("samples/inbox.mbox")).unwrap();
    let own = classified(&[], INVOICE.as_bytes());
    let answer = server.ask("POST", "/v1/classify", &MAIL, INVOICE.as_bytes());
    assert_eq!((answer.status, &answer.json()), (200, &own[0]));
    let all = classified(&[], &mbox);
    let answer = server.ask("POST", "/v1/classify", &[("Content-Type", "application/octet-stream")], &mbox);
    assert_eq!(answer.json()["records"].as_array().unwrap(), &all);
    let lines = [("Content-Type", "application/mbox"), ("Accept", "application/x-ndjson")];
    let answer = server.ask("POST", "/v1/classify", &lines, &mbox);
    let read: Vec<Value> = answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, all);
    let rows = "{\"text\":\"Pay the bill\",\"subject\":\"Money\",\"id\":7}\n{\"text\":\"<p>Let us <b>meet</b></p>\"}\n";
    let rows = classified(&["--input-format", "jsonl", "-k", "1"], rows.as_bytes());
    let asked = json!({"documents": [{"text": "Pay the bill", "subject": "Money", "id": 7}, "<p>Let us <b>meet</b></p>"], "top_k": 1});
    assert_eq!(server.post("/v1/classify", asked).json()["records"].as_array().unwrap(), &rows);
}

#[test]
fn a_form_holds_files_and_labels() {
    let server = Server::bare(&[]);
    let part = |name: &str, file: &str, body: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file}\"\r\n\r\n{body}\r\n")
    };
    let form = |parts: &[String]| {
        let body = parts.concat() + "--x--\r\n";
        server.ask("POST", "/v1/classify", &[("Content-Type", "multipart/form-data; boundary=x")], body.as_bytes())
    };
    let labels = part("labels", "queue.txt", "invoice: a bill to pay\nmeeting: a date to meet\n");
    let more = part("labels", "mood.toml", "[[label]]\nname = \"good\"\n[[label]]\nname = \"bad\"\n");
    let table = part("file", "rows.csv", "id,text\n1,Please pay the bill\n2,Shall we meet?\n");
    let answer = form(&[table.clone(), part("file", "a.eml", INVOICE), labels.clone(), more]).json();
    let records = answer["records"].as_array().unwrap();
    let labels_of: Vec<_> = records.iter().map(|record| record["sets"]["queue"]["label"].as_str().unwrap()).collect();
    assert_eq!(labels_of, ["invoice", "meeting", "invoice"]);
    assert!(
        records[0]["row"]["id"] == "1" && records[2]["source"] == "a.eml" && records[0]["sets"]["mood"].is_object()
    );
    for (parts, why) in [
        (vec![labels.clone()], "no field `file`"),
        (vec![table.clone()], "there are no labels"),
        (vec![table.clone(), labels.clone(), labels.clone()], "two label sets are called \"queue\""),
        (vec![table.clone(), part("lables", "x", "a")], "a field \"lables\""),
        (vec![table, labels, part("top_k", "", "many")], "no such number"),
    ] {
        let answer = form(&parts);
        assert!(answer.status == 400 && answer.message().contains(why), "{why}: {answer:?}");
    }
}

#[test]
fn requests_bring_their_own_labels() {
    let server = Server::start(&[]);
    let text = "尊敬的团队成员:请查收本周五上午10点的产品评审会议邀请,附议程和材料。";
    let record = server.post("/v1/classify", json!({"text": text, "labels": CHINESE})).json();
    assert_eq!((&record["label"], record["labels"].as_array().unwrap().len()), (&json!("会议通知"), 3));
    let sets =
        json!({"topic": "money: bills\ntravel: trips", "mood": ["angry", {"name": "glad", "description": "thanks"}]});
    let record =
        server.post("/v1/classify", json!({"text": "Thanks for the trip!", "labels": sets, "top_k": 1})).json();
    assert_eq!(record["sets"]["topic"]["label"], "travel");
    assert_eq!(record["sets"]["mood"]["labels"].as_array().unwrap().len(), 1);
    let sure = server.post("/v1/classify", json!({"text": "Please pay the bill", "threshold": 1.0})).json();
    assert!(sure["label"].is_null() && sure["labels"][0]["label"] == "invoice", "{sure}");
    for (asked, why) in [
        (json!({"text": "x", "labels": []}), "there is no label"),
        (json!({"text": "x", "labels": ["a", "a"]}), "given twice"),
        (json!({"text": "x", "label": ["a", "b"]}), "unknown field `label`"),
        (json!({"text": "x", "documents": []}), "either `text`"),
        (json!({"labels": ["a", "b"]}), "either `text`"),
        (json!({"text": "x", "top_k": 0}), "top_k is 1 to"),
        (json!({"text": "x", "threshold": 2}), "a probability"),
        (json!({"documents": ["a", {"id": 1}]}), "document 1 has neither"),
        (json!({"documents": ["a", 5]}), "document 1 is neither a text nor an object"),
        (json!({"text": 5}), "invalid type"),
    ] {
        let answer = server.post("/v1/classify", asked.clone());
        assert!(answer.status == 400 && answer.message().contains(why), "{asked}: {answer:?}");
    }
    let answer = server.ask("POST", "/v1/classify", &[("Content-Type", "application/json")], b"{\"text\": ");
    assert!(answer.status == 400 && answer.message().contains("line 1 column"), "{answer:?}");
    let answer = server.ask("POST", "/v1/classify", &[("Content-Type", "application/x-www-form-urlencoded")], b"x");
    assert!(answer.status == 415 && answer.message().contains("message/rfc822"), "{answer:?}");
    let answer = server.post("/v1/classify", json!({"text": "x", "model": "gpt-5"}));
    assert!(answer.status == 404 && answer.message().contains("\"builtin\""), "{answer:?}");
}

#[test]
fn a_document_without_text_has_an_error_in_its_record() {
    let server = Server::start(&[]);
    let asked = json!({"documents": ["", "Please pay the bill"]});
    let records = server.post("/v1/classify", asked).json();
    assert_eq!(
        (&records["records"][0]["error"], &records["records"][1]["label"]),
        (&json!("no text"), &json!("invoice"))
    );
    let text = server.get("/metrics").body;
    for line in [
        "mailsort_errors_total{kind=\"no text\"} 1",
        "mailsort_verdicts_total{set=\"label\",label=\"invoice\"} 1",
        "mailsort_documents_total 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn show_answers_as_show_prints() {
    let server = Server::bare(&[]);
    let mail = "Subject: Re: x\nFrom: Ann <a@example.org>\n\nYes.\n\nOn Monday Bob wrote:\n> no?\n";
    let printed = mailsort(["show", "-", "--removed", "--input-format", "eml"]).stdin(mail).output().stdout;
    let printed: Value = serde_json::from_slice(&printed).unwrap();
    assert_eq!(server.ask("POST", "/v1/show", &MAIL, mail.as_bytes()).json(), printed);
    let answer = server.post("/v1/show", json!({"text": "x", "labels": ["a", "b"]}));
    assert!(answer.status == 400 && answer.message().contains("reads no labels"), "{answer:?}");
}

/// The documents of an answer by their scores.
fn order(results: &Value, score: &str) -> Vec<(u64, f64)> {
    let results = results.as_array().unwrap();
    results.iter().map(|result| (result["index"].as_u64().unwrap(), result[score].as_f64().unwrap())).collect()
}

#[test]
fn documents_are_ranked_in_both_shapes() {
    let server = Server::bare(&[]);
    for (query, first) in [
        ("尊敬的团队成员:请查收本周五上午10点的产品评审会议邀请,附议程和材料。", 2),
        ("服务器监控系统检测到数据库连接池异常,请立即排查。", 4),
    ] {
        for path in ["/rerank", "/v1/rerank", "/v2/rerank"] {
            let answer = server.post(path, json!({"model": "builtin", "query": query, "documents": CHINESE})).json();
            let results = order(&answer["results"], "relevance_score");
            assert_eq!((results.len(), results[0].0), (5, first), "{path} {answer}");
            assert!(
                results.is_sorted_by(|a, b| a.1 >= b.1) && results.iter().all(|(_, score)| (0.0..=1.0).contains(score))
            );
            let texts = server.post(path, json!({"query": query, "texts": CHINESE})).json();
            assert_eq!(order(&texts, "score"), results);
        }
    }
    let documents = json!([{"text": "a bill"}, "the moon", "a bill", ""]);
    let answer =
        server.post("/rerank", json!({"query": "pay", "documents": documents, "top_n": 2, "return_documents": true}));
    let json = answer.json();
    let results = order(&json["results"], "relevance_score");
    assert!(results.len() == 2 && (results[0].0, results[1].0) == (0, 2) && results[0].1 == results[1].1, "{json}");
    assert_eq!(json["results"][0]["document"], json!({"text": "a bill"}));
    assert!(json["usage"]["total_tokens"].as_u64().unwrap() > 0 && json["meta"]["billed_units"]["search_units"] == 1);
    let answer =
        server.post("/rerank", json!({"query": "pay", "texts": ["", "bill"], "return_text": true, "truncate": true}));
    assert_eq!(answer.json()[1], json!({"index": 0, "score": 0.0, "text": ""}));
    let alone = server.post("/rerank", json!({"query": "pay", "documents": "bill"})).json();
    assert_eq!(order(&alone["results"], "relevance_score")[0].1, order(&answer.json(), "score")[0].1);
}

#[test]
fn what_cannot_be_ranked_is_refused() {
    let server = Server::bare(&["--max-tokens", "8"]);
    for (asked, why) in [
        (json!({"documents": ["a"]}), "missing field `query`"),
        (json!({"query": "a"}), "`documents` or `texts`"),
        (json!({"query": "a", "documents": ["b"], "texts": ["b"]}), "`documents` or `texts`"),
        (json!({"query": "a", "documents": []}), "no document"),
        (json!({"query": " ", "documents": ["b"]}), "`query` is empty"),
        (json!({"query": "a", "documents": ["b"], "top_n": -1}), "top_n"),
        (json!({"query": "a", "texts": ["b"], "raw_scores": true}), "raw_scores"),
        (json!({"query": "a", "documents": ["b"], "instruction": "two\nlines"}), "one line"),
    ] {
        let answer = server.post("/v1/rerank", asked.clone());
        assert!(answer.status == 400 && answer.message().contains(why), "{asked}: {answer:?}");
    }
    let long = "many words of a long text that goes on and on about money";
    let answer = server.post("/rerank", json!({"query": "pay", "documents": ["bill", long]}));
    assert_eq!(answer.header("x-truncated"), Some("1"));
    let results = answer.json();
    let cut: Vec<&Value> =
        results["results"].as_array().unwrap().iter().filter(|result| result["truncated"] == true).collect();
    assert!(cut.len() == 1 && cut[0]["index"] == 1, "{results}");
    for (name, value, status) in [
        ("truncation_direction", json!("Left"), 400),
        ("truncation_direction", json!("Right"), 200),
        ("max_tokens_per_doc", json!(4), 400),
        ("max_tokens_per_doc", json!(100_000), 200),
        ("truncate_prompt_tokens", json!(4), 400),
        ("truncate_prompt_tokens", json!(-1), 200),
        ("max_chunks_per_doc", json!(10), 200),
    ] {
        let answer = server.post("/rerank", json!({"query": "pay", "documents": ["bill"], name: value}));
        assert_eq!(answer.status, status, "{name} {answer:?}");
        let answer = server.post("/v1/embeddings", json!({"input": "bill", name: value}));
        assert_eq!(answer.status, status, "{name} {answer:?}");
    }
    let answer = server.post("/rerank", json!({"query": "pay", "texts": ["bill", long], "truncate": false}));
    assert!(answer.status == 422 && answer.message().contains("text 1 is longer than the 8 tokens"), "{answer:?}");
}

#[test]
fn vectors_are_written_as_numbers_or_bytes() {
    let server = Server::bare(&[]);
    let texts = json!({"model": "builtin", "input": ["Please pay the bill.", "Shall we meet?"]});
    let answer = server.post("/v1/embeddings", texts).json();
    let vector = |answer: &Value, at: usize| -> Vec<f32> {
        answer["data"][at]["embedding"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
    };
    let (first, second) = (vector(&answer, 0), vector(&answer, 1));
    let length = first.iter().map(|value| value * value).sum::<f32>().sqrt();
    assert!((length - 1.0).abs() < 1e-4 && first.len() == second.len() && first != second, "{length}");
    assert_eq!((&answer["object"], &answer["data"][1]["index"]), (&json!("list"), &json!(1)));
    let bytes = json!({"input": "Shall we meet?", "encoding_format": "base64", "user": "me"});
    let bytes = server.post("/v1/embeddings", bytes).json();
    let bytes = BASE64_STANDARD.decode(bytes["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let read: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    assert_eq!(read, second);
    for (asked, status, why) in [
        (json!({"input": [9906, 1917]}), 400, "check_embedding_ctx_length=False"),
        (json!({"input": []}), 400, "empty"),
        (json!({"input": "a", "dimensions": 32}), 400, "cannot be cut"),
        (json!({"input": "a", "encoding_format": "int8"}), 400, "unknown variant"),
        (json!({"input": "a", "model": "text-embedding-3-small"}), 404, "not served here"),
        (json!({"input": ["a bill", "\u{2063}"]}), 400, "text 1"),
    ] {
        let answer = server.post("/v1/embeddings", asked.clone());
        assert!(answer.status == status && answer.message().contains(why), "{asked}: {answer:?}");
    }
}

/// What Qwen3 rerankers are asked of mail.
const TASK: &str = "Given an email, judge whether the category described in the document fits the email";

#[test]
fn a_reranker_scores_documents_as_it_scores_labels() {
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("cache");
    for name in ["tiny-reranker", "tiny-bert-reranker"] {
        let model = crate::models::model(name);
        let server = Server::bare(&["--model", &model, "--cache", cache.to_str().unwrap()]);
        let (text, labels) = ("Please pay the bill", ["invoice", "a date to meet", "other"]);
        let asked = json!({"query": text, "documents": labels, "instruction": TASK});
        let answer = server.post("/v1/rerank", asked.clone()).json();
        let record = server.post("/v1/classify", json!({"text": text, "labels": labels})).json();
        let mut scores: Vec<f64> =
            order(&answer["results"], "relevance_score").iter().map(|(_, score)| *score).collect();
        let shown = record["labels"].as_array().unwrap().iter().map(|label| label["score"].as_f64().unwrap());
        for (score, shown) in scores.drain(..).zip(shown) {
            assert!((score - shown).abs() <= 5.1e-5, "{name}: {answer} {record}");
        }
        // The same again, now from the cache; a document does not know its neighbours.
        assert_eq!(server.post("/v1/rerank", asked).json()["results"], answer["results"]);
        assert!(server.metric("mailsort_cache_hits") >= 3.0);
        let alone = json!({"query": text, "texts": ["other"], "instruct": TASK});
        let alone = order(&server.post("/rerank", alone).json(), "score")[0].1;
        let (_, beside) = order(&answer["results"], "relevance_score").into_iter().find(|(at, _)| *at == 2).unwrap();
        assert_eq!(alone, beside, "{name}");
        // Its own instruction is another for documents.
        if name == "tiny-reranker" {
            let other = server.post("/rerank", json!({"query": text, "texts": ["other"]})).json();
            assert_ne!(order(&other, "score")[0].1, alone);
        }
        let long = "word ".repeat(20_000);
        let answer = server.post("/rerank", json!({"query": text, "documents": ["other", long]})).json();
        let cut = answer["results"].as_array().unwrap().iter().find(|result| result["truncated"] == true).unwrap();
        assert_eq!(cut["index"], 1, "{name}");
        let refused = server.post("/v1/embeddings", json!({"input": "x"}));
        assert!(refused.status == 400 && refused.message().contains("is a reranker"), "{refused:?}");
        assert!(server.get("/info").json()["model_type"]["reranker"].is_object());
    }
}

#[test]
fn vectors_of_an_embedding_can_be_cut() {
    let server = Server::bare(&["--model", "tests/models/tiny-embedding"]);
    let vector = |dimensions: Option<usize>| -> Vec<f64> {
        let asked = json!({"input": ["Please pay the bill", "x"], "dimensions": dimensions});
        let answer = server.post("/v1/embeddings", asked).json();
        answer["data"][0]["embedding"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let (all, cut) = (vector(None), vector(Some(32)));
    assert!(all.len() > 32 && cut.len() == 32);
    let length = all[..32].iter().map(|value| value * value).sum::<f64>().sqrt();
    assert!(cut.iter().zip(&all).all(|(cut, all)| (cut - all / length).abs() < 1e-6), "{cut:?} {all:?}");
    let answer = server.post("/v1/embeddings", json!({"input": "x", "dimensions": 5000}));
    assert!(answer.status == 400 && answer.message().contains("dimensions is 32 to"), "{answer:?}");
    // One whose query has an instruction and whose documents have none: a text that is both differs.
    let same = server.post("/rerank", json!({"query": "a bill", "texts": ["a bill"]})).json();
    assert!(same[0]["score"].as_f64().unwrap() < 0.9999, "{same}");
}

#[test]
fn feedback_is_counted_once() {
    let server = Server::start(&[]);
    let mail = format!("Message-ID: <a@example.org>\n{INVOICE}");
    let first = server.ask("POST", "/v1/classify", &MAIL, mail.as_bytes());
    let id = first.header("x-request-id").unwrap().to_string();
    let said = server.post("/v1/feedback", json!({"id": "<a@example.org>", "label": "meeting"})).json();
    assert_eq!(
        said,
        json!({"id": "<a@example.org>", "set": "label", "label": "invoice", "right": false, "counted": true})
    );
    assert_eq!(server.post("/v1/feedback", json!({"id": format!("{id}/0"), "label": "invoice"})).json()["right"], true);
    assert_eq!(server.post("/v1/feedback", json!({"id": id, "label": null})).json()["right"], false);
    for (asked, status, why) in [
        (json!({"id": "nobody", "label": "invoice"}), 404, "no verdict on \"nobody\""),
        (json!({"id": id, "label": "spam"}), 400, "no label \"spam\""),
        (json!({"id": id}), 400, "missing field `label`"),
        (json!({"id": id, "label": "invoice", "set": "x"}), 400, "no such label set"),
    ] {
        let answer = server.post("/v1/feedback", asked.clone());
        assert!(answer.status == status && answer.message().contains(why), "{asked}: {answer:?}");
    }
    server.post("/v1/feedback", json!({"id": "<a@example.org>", "label": "invoice"}));
    let text = server.get("/metrics").body;
    // Under all of its ids it is one verdict.
    let counted: Vec<&str> = text.lines().filter(|line| line.starts_with("mailsort_feedback_total")).collect();
    assert_eq!(counted, ["mailsort_feedback_total{set=\"label\",right=\"false\"} 1"]);
}

#[test]
fn the_server_says_what_it_is() {
    let server = Server::start(&["--threshold", "0.4"]);
    assert_eq!(server.get("/health").json(), json!({"status": "ok"}));
    assert_eq!(server.get("/v1/models").json()["data"][0]["id"], "builtin");
    let info = server.get("/info").json();
    assert_eq!(
        (&info["model_id"], &info["label_sets"][0]["labels"][1]["name"]),
        (&json!("builtin"), &json!("meeting"))
    );
    let described = server.get("/openapi.json").json();
    assert_eq!(described["info"]["version"], env!("CARGO_PKG_VERSION"));
    // Every path and method that is described is answered, and no other method is.
    for (path, item) in described["paths"].as_object().unwrap() {
        for method in ["get", "post"] {
            let status = server.ask(&method.to_uppercase(), path, &[], b"").status;
            assert_eq!(status == 405, item.get(method).is_none(), "{method} {path} {status}");
            assert_ne!(status, 404, "{method} {path}");
        }
    }
    assert_eq!(server.get("/v1/nothing").status, 404);
}

#[test]
fn contracts_are_compared() {
    let server = Server::bare(&[]);
    let (old, new) =
        ("1. Term. One year.\n2. Fee. The fee is due in 30 days.\n", "1. Fee. The fee is due in 60 days.\n");
    let report = server.post("/v1/compare", json!({"old": old, "new": new})).json();
    let pairs = report["pairs"].as_array().unwrap();
    let changed = pairs.iter().find(|pair| pair["relation"] == "changed").unwrap_or_else(|| panic!("{report}"));
    assert_eq!(
        (&changed["changes"][0]["kind"], &changed["changes"][0]["verdict"]),
        (&json!("duration"), &json!("different"))
    );
    assert!(pairs.iter().any(|pair| pair["relation"] == "only-in-old"), "{report}");
    // As the command does with the same texts.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let output =
        mailsort(["compare", "--quiet", "--format", "json"]).args([path("old", old), path("new", new)]).output();
    let command: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(command["pairs"], report["pairs"]);
    let part = |name: &str, file: &str, text: &str| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{text}\r\n")
    };
    let form = |old: &str| {
        let file = |name: &str| format!("; filename=\"{name}\"");
        let parts =
            part("old", &file("old.txt"), old) + &part("new", &file("new.txt"), new) + &part("format", "", "html");
        let kind = [("Content-Type", "multipart/form-data; boundary=x")];
        server.ask("POST", "/v1/compare", &kind, (parts + "--x--\r\n").as_bytes())
    };
    let page = form(old);
    assert!(page.status == 200 && page.body.contains("<del>30</del>"), "{page:?}");
    for (asked, why) in [
        (json!({"old": old}), "missing field `new`"),
        (json!({"old": old, "new": new, "format": "pdf"}), "unknown variant"),
        (json!({"old": old, "new": new, "labels": []}), "unknown field"),
    ] {
        let answer = server.post("/v1/compare", asked);
        assert!(answer.status == 400 && answer.message().contains(why), "{answer:?}");
    }
    let answer =
        server.ask("POST", "/v1/compare", &[("Content-Type", "multipart/form-data; boundary=x")], b"--x--\r\n");
    assert!(answer.status == 400 && answer.message().contains("no files `old` and `new`"), "{answer:?}");
    let many: String = (1..=2001).map(|number| format!("The seller delivers goods of number {number}.\n\n")).collect();
    assert_eq!(server.post("/v1/compare", json!({"old": many, "new": new})).status, 413);
}
