//! The tabs of the page that ask an index and compare two contracts, in a real browser.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::Server;
use super::browser::{Browser, IS_WIDER, url};
use super::search::Base;
use crate::endpoint::mortal_reranker;
use crate::mailsort::root;

const IS_SHOWN: &str =
    "return ['classify', 'ask', 'compare'].filter((name) => !document.getElementById('panel-' + name).hidden).join()";

#[test]
fn tabs_work_with_the_keyboard() {
    let Some(browser) = Browser::start(400) else { return };
    let server = Server::bare(&[]);
    browser.open(&url(&server, "?lang=en"));
    assert_eq!(browser.run(IS_SHOWN), "classify");
    browser.keys("#tab-classify", "\u{e014}");
    assert_eq!(
        (browser.run(IS_SHOWN), browser.run("return document.activeElement.id")),
        (json!("ask"), json!("tab-ask"))
    );
    // Without an index it says how to get one, and asks nothing.
    let said = browser.text("#panel-ask");
    assert!(
        said.contains("mailsort serve --index")
            && browser.run("return document.getElementById('ask-go').matches(':disabled')") == true,
        "{said}"
    );
    assert_eq!(browser.run(IS_WIDER), false);
    browser.keys("#tab-ask", "\u{e012}\u{e012}");
    assert_eq!(browser.run(IS_SHOWN), "compare");
    assert_eq!(
        browser.run("return location.hash + document.getElementById('tab-compare').getAttribute('aria-selected')"),
        "#comparetrue"
    );
    assert_eq!(browser.run("return document.querySelectorAll('[role=tab][aria-selected=true]').length"), 1);
    browser.open(&url(&server, "?lang=zh#ask"));
    browser.until("!document.getElementById('panel-ask').hidden");
    assert_eq!(browser.text("#tab-compare"), "比较");
    browser.check_logs(&server);
}

#[test]
fn a_question_is_asked() {
    let Some(browser) = Browser::start(1200) else { return };
    let base = Base::new();
    let [flag, index] = base.flags();
    let server = Server::bare(&[&flag, &index]);
    browser.open(&url(&server, "?lang=en#ask"));
    browser.until("document.getElementById('of-index').innerText.includes('passages in the index')");
    browser.keys("#question", "may the buyer cancel a late order?\u{e007}");
    browser.until("document.querySelectorAll('.passages > li').length > 1");
    let first = browser.text(".passages > li");
    assert!(
        first.starts_with("supply.md · ") && first.contains("2.2 Delay") && first.contains("keyword rank 1"),
        "{first}"
    );
    assert!(first.contains("cosine 0."), "{first}");
    browser.picture("ask-en");
    // Offsets are bytes, and these characters have three each.
    browser.run(
        "document.getElementById('question').value = '电子发票'; document.getElementById('mode').value = 'keyword'; \
                 document.getElementById('ask-top').value = 1",
    );
    browser.click("#ask-go");
    browser
        .until("document.querySelector('.passage') && document.querySelector('.passage').innerText.includes('发票')");
    let marks = browser.run("return [...document.querySelectorAll('mark')].map((mark) => mark.innerText)");
    assert!(marks.as_array().unwrap().contains(&json!("电子发票")), "{marks}");
    assert_eq!(browser.run("return document.querySelectorAll('.passages > li').length"), 1);
    browser.run(
        "document.getElementById('question').value = 'zeppelin'; document.getElementById('ask-top').value = 10; \
                 document.getElementById('filter-from').value = 'ben'",
    );
    browser.click("#ask-go");
    browser.until(
        "document.querySelector('.cited') && document.querySelector('.cited').innerText.includes('mail.mbox [1]')",
    );
    let cited = browser.text(".cited");
    assert!(cited.contains("Re: The zeppelin hangar · 2024-06-18 · Ben"), "{cited}");
    browser.check_logs(&server);
    // What goes wrong is said, and no answer of before stays under it.
    browser
        .run("document.getElementById('ask-top').value = 1000; document.getElementById('ask-form').noValidate = true");
    browser.click("#ask-go");
    browser.until("document.getElementById('ask-problem').innerText.includes('`top` is 1 to 100')");
    assert_eq!(browser.text("#ask-answer"), "");
}

#[test]
fn a_reranker_orders_the_passages() {
    let Some(browser) = Browser::start(400) else { return };
    let base = Base::new();
    let is_dead = Arc::new(AtomicBool::new(false));
    let reranker = mortal_reranker(is_dead.clone());
    let [flag, index] = base.flags();
    let server = Server::bare(&[&flag, &index, "--endpoint", &reranker.url()]);
    browser.open(&url(&server, "?lang=en#ask"));
    browser.until("!document.getElementById('by-words').hidden && !document.getElementById('rerank-row').hidden");
    browser.keys("#question", "buy a parrot in the of\u{e007}");
    browser.until("document.querySelectorAll('.passages > li').length > 0");
    let answer = browser.text("#ask-answer");
    assert!(answer.starts_with("Nothing answers this") && answer.contains("reranker 0.05"), "{answer}");
    assert_eq!(browser.run(IS_WIDER), false);
    browser.picture("ask-400");
    is_dead.store(true, Ordering::Release);
    browser.click("#ask-go");
    browser.until("document.getElementById('ask-answer').innerText.includes('stand in the order of the search')");
    browser.check_logs(&server);
}

#[test]
fn two_files_are_compared() {
    let Some(browser) = Browser::start(1200) else { return };
    let server = Server::bare(&[]);
    browser.open(&url(&server, "?lang=en#compare"));
    let contract = |year: u32| root().join(format!("examples/contracts/supply-{year}.md")).display().to_string();
    browser.keys("#old-file", &contract(2025));
    browser.keys("#new-file", &contract(2026));
    browser.until("document.querySelectorAll('#panel-compare .files li').length === 2");
    browser.click("#compare-go");
    browser.until("document.querySelectorAll('.clause').length > 5");
    let counts = browser.text(".counts");
    assert!(counts.contains("4 changed") && counts.contains("1 only in the new one"), "{counts}");
    let table = browser.text("#compare-answer table");
    assert!(table.contains("EUR 1,000,000") && table.contains("EUR 500,000") && table.contains("different"), "{table}");
    let pair = "[...document.querySelectorAll('.clause')].find((box) => box.innerText.includes('5.1 Cap'))";
    let marks = browser
        .run(&format!("return [...{pair}.querySelectorAll('del, ins')].map((mark) => mark.tagName + mark.innerText)"));
    assert_eq!(marks, json!(["DEL4.1", "DEL1,000,000", "INS5.1", "INS500,000"]));
    let moved = browser.text(".moves");
    assert!(moved.contains("5.1 Confidentiality → 2.1 Confidentiality"), "{moved}");
    assert_eq!(browser.run(IS_WIDER), false);
    browser.picture("compare-en");
    // A link of the table leads to its clause.
    browser.click("#compare-answer td a");
    browser.until("document.activeElement.tagName === 'SUMMARY'");
    browser.click("#save-html");
    let page = browser.download("comparison.html");
    assert!(page.contains("<del>") && page.contains("supply-2026.md"), "{page}");
    browser.click("#save-docx");
    assert!(browser.download_bytes("comparison.docx").starts_with(b"PK"));
    browser.check_logs(&server);
}

#[test]
fn texts_are_compared_in_a_narrow_window() {
    let Some(browser) = Browser::start(400) else { return };
    let server = Server::bare(&[]);
    browser.open(&url(&server, "?lang=zh#compare"));
    browser.click("#compare-go");
    browser.until("document.getElementById('compare-problem').innerText.includes('旧文本')");
    let (old, new) = (
        "第一条 付款。甲方应在15日内付款。\n第二条 违约金。违约金为合同总额的百分之五。\n第三条 保密。双方应当保密。\n",
        "第一条 付款。甲方应在30日内付款。\n第二条 违约金。违约金为合同总额的5%。\n",
    );
    browser.run(&format!(
        "document.getElementById('old-text').value = {}; document.getElementById('new-text').value = {}; document.getElementById('template').click()",
        json!(old),
        json!(new)
    ));
    browser.click("#compare-go");
    browser.until("document.querySelectorAll('.clause').length === 3");
    let table = browser.text("#compare-answer table");
    assert!(
        table.contains("15日") && table.contains("30日") && table.contains("期限") && table.contains("相等"),
        "{table}"
    );
    // Beside a template, what is missing comes first.
    let first = browser.text(".clause summary");
    assert!(first.contains("第三条") && first.contains("仅在旧文本"), "{first}");
    assert_eq!(browser.run("return document.querySelector('.clause del, .clause ins') !== null"), true);
    assert_eq!(browser.run(IS_WIDER), false);
    browser.click("#theme");
    browser.picture("compare-zh-dark-400");
    browser.check_logs(&server);
}
