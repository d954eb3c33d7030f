//! Reports of a small evaluation whose texts are hostile.

use super::*;

const HOSTILE: &str = "<script>alert(1)</script>|\"'&]]>`\u{202e}";

fn report() -> Evaluated {
    let (format, version, mailsort) = Evaluated::head();
    let figures = |label: &str, f1: f64| LabelFigures {
        label: label.into(),
        support: 2,
        predicted: 2,
        precision: f1,
        recall: f1,
        f1,
    };
    let prediction = |truth: &str, predicted: Option<&str>| Prediction {
        source: HOSTILE.into(),
        index: 3,
        id: Some(HOSTILE.into()),
        text: Some("00".into()),
        truth: vec![truth.into()],
        predicted: predicted.map(String::from),
        given: None,
        best: predicted.map(String::from),
        score: predicted.map(|_| 0.75),
        error: predicted.is_none().then(|| "no text\u{0}".into()),
    };
    Evaluated {
        format,
        version,
        mailsort,
        model: HOSTILE.into(),
        label_set: HOSTILE.into(),
        questions: false,
        samples: 3,
        right: 1,
        answered: 2,
        without_verdict: 1,
        accuracy: 1.0 / 3.0,
        macro_f1: 0.5,
        weighted_f1: 0.5,
        ece: 0.25,
        labels: vec![figures("会议", 0.5), figures(HOSTILE, 0.5), figures("x", 0.0)],
        confusion: vec![
            ConfusionCell { truth: "会议".into(), predicted: Some("会议".into()), count: 1 },
            ConfusionCell { truth: "会议".into(), predicted: Some(HOSTILE.into()), count: 1 },
            ConfusionCell { truth: HOSTILE.into(), predicted: None, count: 1 },
        ],
        reliability: vec![ReliabilityBin { from: 0.7, to: 0.8, samples: 2, confidence: 0.75, accuracy: 0.5 }],
        abstention: vec![AbstentionPoint { threshold: 0.0, coverage: 0.6667, accuracy: Some(0.5) }],
        target: Some(target()),
        timing: Timing {
            samples_per_second: Some(1234.5),
            timed: 3,
            p50_ms: Some(0.1),
            p95_ms: Some(0.2),
            p99_ms: Some(12.0),
        },
        bars: vec![
            Bar { name: format!("F1 of {HOSTILE}"), asked: "at least 0.8".into(), found: "0.5000".into(), met: false },
            Bar { name: "accuracy".into(), asked: "at least 0.1".into(), found: "0.3333".into(), met: true },
        ],
        predictions: vec![
            prediction("会议", Some("会议")),
            prediction("会议", Some(HOSTILE)),
            prediction(HOSTILE, None),
        ],
        mistakes: vec![Mistake {
            at: 1,
            text: Some(format!("Dear all,\n{HOSTILE} </pre><img src=x onerror=alert(2)>")),
        }],
        junit: JunitCases::Bars,
    }
}

fn target() -> TargetPrecision {
    TargetPrecision {
        precision: 0.9,
        thresholds: vec![
            TargetThreshold { label: HOSTILE.into(), threshold: Some(0.75), kept: 2, right: 2 },
            TargetThreshold { label: "会议\u{85}".into(), threshold: None, kept: 2, right: 1 },
        ],
    }
}

fn written(format: ReportFormat) -> String {
    let mut out = Vec::new();
    report().write(format, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn json_is_read_back_and_has_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.json");
    std::fs::write(&path, written(ReportFormat::Json)).unwrap();
    let found = Evaluated::read(&path).unwrap();
    assert_eq!(found, Evaluated { mistakes: Vec::new(), ..report() });
    let text = written(ReportFormat::Json);
    assert!(text.starts_with("{\n\"format\":\"mailsort-evaluation\",\n\"version\":1,\n"), "{text}");
    assert!(text.ends_with("\n]\n}\n"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("  {\"source\":")).count(), 3);
    assert!(!text.contains("Dear all"), "no text of a mail");
}

#[test]
fn other_files_are_no_reports() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |text: &str, expected: &str| {
        let path = folder.path().join("r.json");
        std::fs::write(&path, text).unwrap();
        let error = format!("{:#}", Evaluated::read(&path).unwrap_err());
        assert!(error.contains(expected), "{error}");
    };
    fails("{\"format\":\"mailsort-evaluation\",\"version\":99}", "version 99");
    fails("{\"a\":1}", "is not a report");
    fails("nonsense", "is not a report");
    fails("{\"format\":\"mailsort-evaluation\",\"version\":1}", "damaged");
}

#[test]
fn a_page_holds_foreign_text_as_text_only() {
    let page = written(ReportFormat::Html);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("Dear all,"));
    for raw in ["<script", "<img", "</pre><img", "\u{202e}"] {
        assert!(!page.contains(raw), "{raw} stands in the page");
    }
    assert_eq!(page.matches("<svg").count(), 3);
    assert!(page.contains("会议"));
    let quiet = Evaluated { mistakes: vec![Mistake { at: 1, text: None }], ..report() };
    assert!(!html::report(&quiet).unwrap().contains("Dear all"));
}

#[test]
fn xml_is_well_formed() {
    let xml = written(ReportFormat::Junit);
    let mut reader = quick_xml::Reader::from_str(&xml);
    let (mut tests, mut failures) = (0, 0);
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                tag.attributes().for_each(|attribute| {
                    drop(attribute.unwrap().normalized_value(quick_xml::XmlVersion::Implicit1_0))
                });
                tests += u32::from(tag.name().as_ref() == "testcase");
                failures += u32::from(tag.name().as_ref() == "failure");
            }
            _ => {}
        }
    }
    assert_eq!((tests, failures), (3, 2));
    assert!(xml.contains("tests=\"3\" failures=\"2\""), "{xml}");
    assert!(!xml.contains('\u{0}'));
}

#[test]
fn thresholds_are_toml() {
    let (_, snippet) = lines::target(&report()).unwrap();
    let read: toml::Table = toml::from_str(&snippet).unwrap();
    let label = &read["label"][0];
    assert_eq!((label["name"].as_str(), label["threshold"].as_float()), (Some(HOSTILE), Some(0.75)));
    assert!(snippet.contains("# \"会议\\u0085\": no threshold will do, 1 of 2 right"), "{snippet}");
}

#[test]
fn text_and_markdown_say_what_is_missed() {
    let text = written(ReportFormat::Text);
    assert!(text.contains("MISSED") && text.contains("no verdict") && !text.contains('\u{202e}'), "{text}");
    let markdown = written(ReportFormat::Markdown);
    assert!(markdown.contains("**1 of 2 bars missed**") && !markdown.contains('\u{202e}'), "{markdown}");
    let outside = markdown.split("```").step_by(2).collect::<String>();
    assert!(!outside.contains("<script"), "{outside}");
    assert!(
        markdown.lines().filter(|line| line.starts_with('|')).all(|line| line.ends_with(" |") || line.ends_with('|'))
    );
}

#[test]
fn every_form_says_that_labels_are_questions() {
    let mut report = Evaluated { questions: true, confusion: Vec::new(), abstention: Vec::new(), ..report() };
    report.predictions[1].given = Some(vec![HOSTILE.into(), "会议".into()]);
    use ReportFormat::{Html, Json, Junit, Markdown, Text};
    for format in [Text, Json, Markdown, Html, Junit] {
        let mut out = Vec::new();
        report.write(format, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let said = if format == ReportFormat::Json { "\"questions\":true" } else { "a question of its own" };
        assert!(text.contains(said), "{format:?}: {text}");
        if format == ReportFormat::Html {
            assert_eq!(text.matches("<svg").count(), 1);
            assert!(text.contains(", 会议</b> 0.75"), "{text}");
        }
    }
}

#[test]
fn a_sample_is_right_with_all_its_labels() {
    let mut said = report().predictions.remove(0);
    let mut right = |truth: &[&str], given: Option<&[&str]>| {
        said.truth = truth.iter().map(ToString::to_string).collect();
        said.given = given.map(|given| given.iter().map(ToString::to_string).collect());
        said.predicted = said.given.as_ref().map_or(Some("a".into()), |given| given.first().cloned());
        (said.is_right(), said.said())
    };
    assert_eq!(right(&["b", "a"], None), (true, Some("a".into())));
    assert_eq!(right(&["b", "a"], Some(&["a"])), (false, Some("a".into())));
    assert_eq!(right(&["b", "a"], Some(&["b", "a"])), (true, Some("a, b".into())));
    assert!(!right(&["a"], Some(&["b", "a"])).0);
    assert_eq!(right(&["a"], Some(&[])), (false, None));
}
