//! A report as JUnit XML for build servers: one test per bar, one for documents without a verdict, and on request one
//! per sample.

use super::html::escape;
use super::{Evaluated, JunitCases, Prediction, lines, share};

/// The classes of the tests.
const BARS: &str = "mailsort.eval";
const SAMPLES: &str = "mailsort.sample";

/// Number of documents without a verdict that are named.
const NAMED: usize = 20;

/// The report as XML.
pub(super) fn report(report: &Evaluated) -> String {
    let mut tests: Vec<(&str, String, Option<String>)> = report
        .bars
        .iter()
        .map(|bar| (BARS, bar.name.clone(), (!bar.met).then(|| format!("{}, asked was {}", bar.found, bar.asked))))
        .collect();
    tests.push((BARS, "every document has a verdict".into(), without_verdict(report)));
    if report.junit == JunitCases::Samples {
        tests.extend(report.predictions.iter().map(|said| (SAMPLES, said.place(), wrong(said))));
    }
    let failures = tests.iter().filter(|(.., failure)| failure.is_some()).count();
    let counts = format!("tests=\"{}\" failures=\"{failures}\" errors=\"0\"", tests.len());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"mailsort\" {counts}>\n  <testsuite name=\"mailsort \
         eval\" {counts} skipped=\"0\">\n    <properties>\n"
    );
    for [name, figure, _] in lines::figures(report) {
        xml.push_str(&format!("      <property name=\"{}\" value=\"{}\"/>\n", escape(&name), escape(&figure)));
    }
    if let Some(note) = lines::note(report) {
        xml.push_str(&format!("      <property name=\"labels\" value=\"{}\"/>\n", escape(note)));
    }
    xml.push_str("    </properties>\n");
    for (class, name, failure) in &tests {
        let case = format!("    <testcase classname=\"{class}\" name=\"{}\"", escape(name));
        xml.push_str(&match failure {
            None => format!("{case}/>\n"),
            Some(why) => {
                let (message, why) = (escape(why.lines().next().unwrap_or_default()), escape(why));
                format!("{case}>\n      <failure message=\"{message}\">{why}</failure>\n    </testcase>\n")
            }
        });
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Why the test of a sample fails.
fn wrong(said: &Prediction) -> Option<String> {
    if said.is_right() {
        return None;
    }
    let truth = said.truth.join(", ");
    Some(match (&said.error, said.said()) {
        (Some(error), _) => format!("right is {truth}, and there is no verdict: {error}"),
        (None, Some(label)) => {
            format!("right is {truth}, given was {label} ({})", share(said.score.unwrap_or_default()))
        }
        (None, None) => format!("right is {truth}, and no label was given"),
    })
}

fn without_verdict(report: &Evaluated) -> Option<String> {
    let failed = report.predictions.iter().filter_map(|said| Some((said, said.error.as_ref()?)));
    let named: Vec<String> = failed.take(NAMED).map(|(said, error)| format!("{}: {error}", said.place())).collect();
    (report.without_verdict > 0)
        .then(|| format!("{} of {} got none\n{}", report.without_verdict, report.samples, named.join("\n")))
}
