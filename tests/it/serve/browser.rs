//! The page in a real browser: Debian's chromium, driven by its chromedriver.

use std::io::Write;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Server, answer, request};
use crate::mailsort::{PATIENCE, command, root, started, until};

/// A browser with one window, which ends with the test.
pub(super) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    folder: tempfile::TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.ask("DELETE", "", &Value::Null));
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

/// What names an element in answers of a driver.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

impl Browser {
    /// `None` where there is no browser.
    pub(super) fn start(width: u32) -> Option<Self> {
        started("chromium", command("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = command("chromedriver");
        driver.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null());
        let folder = tempfile::tempdir().unwrap();
        driver.env("HOME", folder.path()).env("XDG_CONFIG_HOME", folder.path()).env("XDG_CACHE_HOME", folder.path());
        let driver = started("chromium", driver.spawn())?;
        let mut browser = Self { driver, port, session: String::new(), folder };
        until(|| TcpStream::connect(("127.0.0.1", port)).is_ok(), || "the driver does not listen".into());
        let path = |name: &str| browser.folder.path().join(name).to_str().unwrap().to_string();
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
                "--lang=en", "--force-prefers-reduced-motion", format!("--window-size={width},1100"), format!("--user-data-dir={}", path("profile"))],
            "prefs": {"download.default_directory": path("")},
        });
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
            "goog:loggingPrefs": {"performance": "ALL", "browser": "ALL"}}}});
        let made = browser.raw("POST", "/session", &wanted);
        browser.session = made["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {made}")).to_string();
        // Narrower than a window of the desktop may be.
        let device = json!({"cmd": "Emulation.setDeviceMetricsOverride", "params": {"width": width, "height": 1100, "deviceScaleFactor": 1, "mobile": false}});
        browser.ask("POST", "/goog/cdp/execute", &device);
        Some(browser)
    }

    /// Asks the driver.
    fn raw(&self, method: &str, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = format!("127.0.0.1:{}", self.port);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        stream
            .write_all(&request(method, path, &host, &[("Content-Type", "application/json")], text.as_bytes()))
            .unwrap();
        let answer = answer(&mut stream);
        let value = answer.json()["value"].clone();
        assert!(answer.status == 200, "{method} {path}: {value}");
        value
    }

    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        self.raw(method, &format!("/session/{}{path}", self.session), body)
    }

    pub(super) fn open(&self, url: &str) {
        self.ask("POST", "/url", &json!({ "url": url }));
        self.until("document.documentElement.dataset.ready === 'yes'");
    }

    /// What a script returns.
    pub(super) fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true.
    pub(super) fn until(&self, expression: &str) {
        until(
            || self.run(&format!("return !!({expression})")) == true,
            || format!("{expression}: {}", self.run("return document.body.innerText")),
        );
    }

    pub(super) fn find(&self, css: &str) -> String {
        let found = self.ask("POST", "/element", &json!({"using": "css selector", "value": css}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {css}: {found}")).to_string()
    }

    pub(super) fn click(&self, css: &str) {
        let element = self.find(css);
        self.ask("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Types as a person does; into a file input, names of files.
    pub(super) fn keys(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.ask("POST", &format!("/element/{element}/value"), &json!({ "text": text }));
    }

    pub(super) fn text(&self, css: &str) -> String {
        self.run(&format!("return document.querySelector({}).innerText", json!(css))).as_str().unwrap().to_string()
    }

    /// The messages of the console since the last time, and the addresses that were asked.
    pub(super) fn logs(&self) -> (Vec<String>, Vec<String>) {
        let log = |kind: &str| self.ask("POST", "/se/log", &json!({ "type": kind })).as_array().unwrap().clone();
        let console = log("browser").iter().map(|entry| entry["message"].as_str().unwrap().to_string()).collect();
        let asked = log("performance").into_iter().filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = &message["message"];
            (message["method"] == "Network.requestWillBeSent")
                .then(|| message["params"]["request"]["url"].as_str().map(String::from))?
        });
        (console, asked.collect())
    }

    /// Keeps a picture of the page where MAILSORT_SCREENSHOTS names a folder.
    pub(super) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("MAILSORT_SCREENSHOTS") else { return };
        let whole = json!({"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": true}});
        let taken = self.ask("POST", "/goog/cdp/execute", &whole);
        let bytes = BASE64_STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }

    /// A file that the page has saved.
    pub(super) fn download(&self, name: &str) -> String {
        String::from_utf8(self.download_bytes(name)).unwrap()
    }

    pub(super) fn download_bytes(&self, name: &str) -> Vec<u8> {
        let path: PathBuf = self.folder.path().join(name);
        // The browser makes an empty file first, and puts the whole one in its place.
        let read = || std::fs::read(&path).unwrap_or_default();
        until(|| !read().is_empty(), || format!("{name} is not saved"));
        read()
    }

    /// Nothing went wrong, and nobody but this server was asked.
    pub(super) fn check_logs(&self, server: &Server) {
        let (console, asked) = self.logs();
        assert_eq!(console, Vec::<String>::new());
        // What an empty window shows is of the browser itself.
        let own = format!("http://{}/", server.address);
        let others: Vec<_> = asked
            .iter()
            .filter(|url| !["blob:", "data:", "chrome:", own.as_str()].iter().any(|begin| url.starts_with(begin)))
            .collect();
        assert!(others.is_empty() && asked.iter().any(|url| url.starts_with(&own)), "{asked:?}");
    }
}

/// Whether something is wider than the window.
pub(super) const IS_WIDER: &str = "return document.documentElement.scrollWidth > document.documentElement.clientWidth";

pub(super) fn url(server: &Server, query: &str) -> String {
    format!("http://{}/{query}", server.address)
}

/// The labels of the bars and their scores.
const BARS: &str = "return [...document.querySelectorAll('.bars li')].map((row) => [row.querySelector('.name').innerText, \
                    Number(row.querySelector('.score').innerText), parseFloat(row.querySelector('.fill').style.width)])";

#[test]
fn a_mail_is_classified_and_corrected() {
    let Some(browser) = Browser::start(1200) else { return };
    let server = Server::start(&["--threshold", "0.4"]);
    browser.open(&url(&server, "?lang=en"));
    let mail = "Subject: Your <b>invoice</b>\nFrom: Ann <ann@example.org>\n\nPlease pay the bill <script>alert(1)</script>\n\nOn Monday Bob wrote:\n> old words\n";
    browser.run(&format!("document.getElementById('text').value = {}", json!(mail)));
    // As a person at a keyboard does it.
    browser.keys("#text", "\u{e009}\u{e007}");
    browser.until("document.querySelectorAll('.bars li').length === 2");
    let bars = browser.run(BARS);
    assert_eq!(bars[0][0], "invoice");
    let score = bars[0][1].as_f64().unwrap();
    assert!(
        score > bars[1][1].as_f64().unwrap() && (bars[0][2].as_f64().unwrap() - 100.0 * score).abs() < 0.1,
        "{bars}"
    );
    assert_eq!(browser.run("return document.querySelector('.mark').style.left"), "40%");
    browser.click("details.sees summary");
    let seen = browser.text("details.sees");
    assert!(seen.contains("Your <b>invoice</b>") && seen.contains("<script>alert(1)</script>"), "{seen}");
    assert!(seen.contains("Cut: quoted reply") && seen.contains("> old words"), "{seen}");
    browser.picture("single-en");
    browser.run("const select = document.querySelector('.wrong select'); select.value = '=meeting'");
    browser.click(".wrong button");
    browser.until("document.querySelector('.wrong [role=status]').innerText.includes('meeting')");
    until(
        || server.get("/metrics").body.contains("mailsort_feedback_total{set=\"label\",right=\"false\"} 1"),
        || "no feedback".into(),
    );
    browser.click("#training");
    let saved: Value = serde_json::from_str(&browser.download("corrections.jsonl")).unwrap();
    assert_eq!((&saved["label"], &saved["subject"]), (&json!("meeting"), &json!("Your <b>invoice</b>")));
    assert!(saved["text"].as_str().unwrap().contains("Please pay the bill"), "{saved}");
    browser.check_logs(&server);
}

#[test]
fn examples_and_labels_in_chinese() {
    let Some(browser) = Browser::start(400) else { return };
    let server = Server::bare(&[]);
    browser.open(&url(&server, "?lang=zh"));
    assert_eq!(browser.text("#go"), "分类");
    // The two mails of a page that others built.
    for (text, first) in [
        ("尊敬的团队成员:请查收本周五上午10点的产品评审会议邀请,附议程和材料。", "会议通知"),
        ("服务器监控系统检测到数据库连接池异常,请立即排查。", "系统告警"),
    ] {
        let labels = "紧急事务\n项目进度\n会议通知\n客户咨询\n系统告警";
        browser
            .run("const s = document.getElementById('source'); s.value = 'own'; s.dispatchEvent(new Event('change'))");
        browser.run(&format!(
            "document.getElementById('text').value = {}; document.querySelector('.labels').value = {}; \
             document.getElementById('answer').replaceChildren()",
            json!(text),
            json!(labels)
        ));
        browser.click("#go");
        browser.until("document.querySelectorAll('.bars li').length === 5");
        assert_eq!(browser.run(BARS)[0][0], first);
    }
    browser.picture("single-zh-400");
    // Nothing is wider than the window.
    assert_eq!(browser.run(IS_WIDER), false);
    for at in 1..=4 {
        browser.run("document.getElementById('answer').replaceChildren()");
        browser.click(&format!("#examples button:nth-child({at})"));
        browser.click("#go");
        browser.until("document.querySelectorAll('.bars li').length > 1");
    }
    browser.run("document.getElementById('language').value = 'en'; document.getElementById('language').dispatchEvent(new Event('change'))");
    browser.until("document.getElementById('go').innerText === 'Classify'");
    assert_eq!(browser.run(IS_WIDER), false);
    let before = browser.run("return getComputedStyle(document.body).backgroundColor");
    browser.click("#theme");
    assert_ne!(browser.run("return getComputedStyle(document.body).backgroundColor"), before);
    browser.picture("single-en-dark-400");
    browser.check_logs(&server);
}

#[test]
fn files_make_a_table() {
    let Some(browser) = Browser::start(1000) else { return };
    let server = Server::bare(&[]);
    browser.open(&url(&server, ""));
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("rows.csv");
    std::fs::write(&table, "id,subject,text\n1,=1+1,Please pay the bill\n2,\"a, b\",Shall we meet on Monday?\n3,,\n")
        .unwrap();
    let mbox = root().join("samples/inbox.mbox");
    browser.keys("#files", &format!("{}\n{}", table.display(), mbox.display()));
    browser.until("document.querySelectorAll('#chosen li').length === 2");
    browser.run("const s = document.getElementById('source'); s.value = 'own'; s.dispatchEvent(new Event('change'))");
    browser.click("#add");
    browser.run(
        "const [a, b] = document.querySelectorAll('.labels'); a.value = 'money: bills, invoices\\ntalk: meetings'; \
         b.value = 'good\\nbad'; document.querySelectorAll('.name')[2 - 1].value = 'mood'",
    );
    browser.click("#go");
    browser.until("document.querySelectorAll('table tbody tr').length === 2 * 17");
    let row = browser.text("table tbody tr");
    assert!(row.starts_with("=1+1") && row.contains("money"), "{row}");
    browser.picture("table-en");
    browser.click("table tbody tr button");
    browser.until("document.querySelector('table details.sees')");
    browser.click("#csv");
    let csv = browser.download("mailsort.csv");
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "\u{feff}source,index,id,subject,label label,label score,mood label,mood score,model,tokens,truncated,error"
    );
    assert!(lines.next().unwrap().starts_with("rows.csv,0,1,'=1+1,money,"), "{csv}");
    assert!(lines.next().unwrap().starts_with("rows.csv,1,2,\"a, b\",talk,"), "{csv}");
    assert_eq!(csv.lines().count(), 18);
    browser.click("#jsonl");
    let lines = browser.download("mailsort.jsonl");
    assert_eq!(lines.lines().count(), 17);
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    browser.check_logs(&server);
}

/// What the page copies does the same as the page.
#[test]
fn what_is_copied_as_curl_works() {
    let Some(browser) = Browser::start(1000) else { return };
    let server = Server::start(&[]);
    browser.open(&url(&server, "?lang=en"));
    browser.run(
        "document.getElementById('text').value = \"Subject: Bill\\nFrom: Ann <a@example.org>\\n\\nIt's $5; pay `it`\\nMAILSORT\\n\"; \
         const s = document.getElementById('source'); s.value = 'own'; s.dispatchEvent(new Event('change')); \
         document.querySelector('.labels').value = 'money: \"bills\"; it\\'s due\\ntalk: meetings'",
    );
    let copied = browser.run("return command()");
    let Some(output) = started("curl", command("sh").args(["-c", copied.as_str().unwrap()]).output()) else { return };
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {copied} {output:?}"));
    assert_eq!((&answer["records"][0]["label"], &answer["records"][0]["subject"]), (&json!("money"), &json!("Bill")));
}

#[test]
fn what_goes_wrong_is_said() {
    let Some(browser) = Browser::start(1000) else { return };
    let server = Server::start(&[]);
    browser.open(&url(&server, "?lang=en"));
    browser.click("#go");
    browser.until("document.getElementById('classify-problem').innerText.includes('Paste a text')");
    browser.run(
        "document.getElementById('text').value = 'x'; const s = document.getElementById('source'); s.value = 'own'; \
         s.dispatchEvent(new Event('change')); document.querySelector('.labels').value = 'a, b, c'",
    );
    browser.click("#go");
    browser.until("document.getElementById('classify-problem').innerText.includes('reads like several')");
    // An answer of before does not stay under what is wrong with this one.
    browser.run("document.querySelector('.labels').value = 'a\\nb'");
    browser.click("#go");
    browser.until("document.querySelectorAll('.bars li').length === 2");
    browser.run("document.querySelector('.labels').value = 'a, b, c'");
    browser.click("#go");
    browser.until("document.getElementById('classify-problem').innerText.includes('reads like several')");
    assert_eq!(browser.run("return document.querySelectorAll('.bars li').length"), 0);
    // The failure is an answer, which the browser notes as one.
    let (console, _) = browser.logs();
    assert!(console.iter().all(|line| line.contains("400")), "{console:?}");
}
