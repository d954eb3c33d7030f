//! Whole comparisons: the complaints about other tools, each as a test

use super::*;

/// A relation with `~` if the clause moved, and the numbers of both sides.
fn show(old: &str, new: &str) -> Vec<String> {
    let (a, b) = (Contract::read(old), Contract::read(new));
    let numbers = |contract: &Contract, all: &[usize]| -> String {
        all.iter().map(|i| contract.clauses[*i].number.as_str()).collect::<Vec<_>>().join("+")
    };
    let pairs = compare(&a, &b, None).pairs;
    pairs
        .iter()
        .map(|p| {
            format!(
                "{:?}{} {}>{}",
                p.relation,
                if p.moved { "~" } else { "" },
                numbers(&a, &p.old),
                numbers(&b, &p.new)
            )
        })
        .collect()
}

/// Kind, verdict and the words of both sides of each change.
fn changes(old: &str, new: &str) -> Vec<String> {
    let pairs = compare(&Contract::read(old), &Contract::read(new), None).pairs;
    let text = |span: &Option<ValueSpan>| span.as_ref().map_or("-".to_owned(), |span| span.text.clone());
    let all = pairs.iter().flat_map(|pair| &pair.changes);
    all.map(|c| format!("{:?} {:?}: {} > {}", c.kind, c.verdict, text(&c.old), text(&c.new))).collect()
}

fn check(old: &str, new: &str, expected: &[&str]) {
    assert_eq!(changes(old, new), expected, "{old} / {new}");
}

#[test]
fn two_bare_sentences() {
    let old = "因乙方原因导致工期延误超过30日，甲方有权单方解除本合同，并要求乙方支付合同总价10%的违约金。";
    let new = "若乙方未能按期完工，延误达一个月以上，甲方有权终止合作，并收取相当于合同金额一成的赔偿。";
    let found = changes(old, new);
    for expected in [
        "Duration Similar: 30日 > 一个月",
        "Comparison Different: 超过 > 以上",
        "Percent Equal: 10% > 一成",
        "Term Different: 违约金 > 赔偿",
        "Term Similar: 解除 > 终止",
    ] {
        assert!(found.iter().any(|change| change == expected), "{expected}: {found:?}");
    }
}

#[test]
fn what_is_a_change() {
    check("付款期限为15个工作日。", "付款期限为15日。", &["Duration Different: 15个工作日 > 15日"]);
    check(
        "The Seller shall indemnify the Buyer.",
        "The Buyer shall indemnify the Seller.",
        &["RoleSwap Different: Seller > Buyer"],
    );
    check(
        "Pay 5 euros on day 10 of it.",
        "Pay 10 euros on day 5 of it.",
        &["Money Different: 5 euros > 10 euros", "Number Different: 10 > 5"],
    );
    check("Goods and services are sold.", "Goods or services are sold.", &["Connective Different: and > or"]);
    check(
        "It runs 10 miles per day.",
        "It runs 10 meters per week.",
        &["Number Different: 10 miles > 10 meters", "Duration Different: per day > per week"],
    );
    check("Tenant may sublet the flat.", "Tenant may not sublet the flat.", &["Modality Different: may > may not"]);
    check(
        "Pay in sixty (60) days.",
        "Pay in sixty (50) days.",
        &["Duration Equal: sixty (60) days > sixty (50) days", "WordsAgainstFigures Different: - > sixty (50) days"],
    );
    check("罚款为50,000元。", "罚款为500,000元。", &["Money Different: 50,000元 > 500,000元"]);
    check("甲方应在收货后30日内付款。", "甲方应在收货后30日后付款。", &["Comparison Different: 内 > 后"]);
}

#[test]
fn what_is_no_change() {
    let quiet = |old: &str, new: &str| {
        let loud: Vec<String> = changes(old, new).into_iter().filter(|change| !change.contains("Equal")).collect();
        assert!(loud.is_empty(), "{old} / {new}: {loud:?}");
    };
    quiet("Open from 9am daily.", "Open from 9 am daily.");
    quiet("It starts in Jan this year.", "It starts in January this year.");
    quiet("Call (555) 123-4567 for help.", "Call 555-123-4567 for help.");
    quiet("You recieve the goods.", "You receive the goods.");
    quiet("Pay sixty (60) days later.", "Pay 60 days later.");
    quiet("利率为5%。", "利率为百分之五。");
    quiet("总价为人民币壹佰万元整。", "总价为100万元。");
    quiet("The price is RMB 1 million.", "The price is ¥1,000,000.");
}

#[test]
fn renumbering_is_no_change_of_citations() {
    let old = "1. Fees. Customer pays the fees.\n2. Term. One year and more.\n3. End. Either party may end it under Section 2.";
    let new = "1. Scope. The software is described elsewhere.\n2. Fees. Customer pays the fees.\n3. Term. One year and more.\n\
               4. End. Either party may end it under Section 3.";
    assert_eq!(show(old, new), ["OnlyNew >1", "Renumbered 1>2", "Renumbered 2>3", "Renumbered 3>4"]);
    let wrong = new.replace("under Section 3", "under Section 2");
    assert_eq!(changes(old, &wrong), ["Reference Different: Section 2 > Section 2"]);
}

#[test]
fn moves_splits_and_merges() {
    let a = "Goods. The seller delivers the goods to the warehouse of the buyer in June. The buyer inspects them on arrival and reports all defects.";
    let (first, second) = a.split_once(" The buyer").unwrap_or_default();
    let b = "Law. The law of this land governs everything that was agreed here.";
    let c = "Notices. Letters go by mail to the last known address of each side.";
    let old = format!("1. {a}\n2. {b}\n3. {c}");
    let moved = format!("1. {b}\n2. {c}\n3. {a}");
    assert_eq!(show(&old, &moved), ["Renumbered 2>1", "Renumbered 3>2", "Moved~ 1>3"]);
    let split = format!("1. {first}\n2. The buyer{second}\n3. {b}\n4. {c}");
    assert_eq!(show(&old, &split), ["Split 1>1+2", "Renumbered 2>3", "Renumbered 3>4"]);
    assert_eq!(show(&split, &old), ["Merged 1+2>1", "Renumbered 3>2", "Renumbered 4>3"]);
    assert_eq!(show(&old, &format!("1. {a}\n2. {c}")), ["Same 1>1", "OnlyOld 2>", "Renumbered 3>2"]);
}

#[test]
fn definitions_have_no_order() {
    let old = "1. Terms. In this text:\n\"Beta\" means a thing of wood.\n\"Alpha\" means a person of age.";
    let new = "1. Terms. In this text:\n\"Alpha\" means a person of age.\n\"Beta\" means a thing of wood.";
    assert_eq!(show(old, new), ["Same 1>1", "Same \"Alpha\">\"Alpha\"", "Same \"Beta\">\"Beta\""]);
}

#[test]
fn vectors_pair_what_words_do_not() {
    let old = Contract::read("1. Cats sleep.\n2. Rain falls on hills.");
    let new = Contract::read("1. Felines doze.\n2. Rain falls on hills.");
    let vectors = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
    let with = compare(&old, &new, Some((&vectors, &vectors)));
    assert_eq!(with.pairs.first().map(|p| (p.old.len(), p.new.len())), Some((1, 1)));
}

#[test]
fn names_in_json() {
    let comparison = compare(
        &Contract::read("1. Pay in 5 days.\n2. Cats sleep all day."),
        &Contract::read("1. Pay in 6 days."),
        None,
    );
    let json = serde_json::to_string(&comparison).unwrap_or_default();
    for part in
        [r#""relation":"changed""#, r#""relation":"only-in-old""#, r#""kind":"duration""#, r#""verdict":"different""#]
    {
        assert!(json.contains(part), "{part} in {json}");
    }
}

#[test]
fn added_words_of_law() {
    check("双方签字盖章之日起生效。", "双方签字或盖章之日起生效。", &["Connective Different: - > 或"]);
    check("各执一份。", "各执两份。", &["Number Different: 一份 > 两份"]);
    check("Obligations: 1) pay; 2) deliver.", "Obligations: 1) pay; 2) deliver; 3) insure.", &[]);
}

#[test]
fn any_text_is_compared() {
    let huge = "word ".repeat(30_000);
    for (old, new) in [("", ""), ("", "1. x"), ("\0", "第一条"), (huge.as_str(), "x"), (huge.as_str(), &huge[5..])] {
        let comparison = compare(&Contract::read(old), &Contract::read(new), None);
        assert!(comparison.pairs.len() <= 2, "{:.20}", old);
    }
}
