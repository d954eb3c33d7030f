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

/// Nothing that differs in a letter, a sign or the address of a link is the same.
#[test]
fn no_difference_is_the_same() {
    for (old, new) in [
        ("See the [terms](https://a.example/v1) here.", "See the [terms](https://a.example/v2) here."),
        ("Read [the terms](https://a.example/v1)", "Read [the terms](https://a.example/v2)"),
        ("The IT of US is here.", "The it of us is here."),
        ("\"Services\" are the things that we do.", "\"services\" are the things that we do."),
        ("The <Seller Name> pays the costs.", "The <Buyer Name> pays the costs."),
        ("Pay if it is <EUR 500 or >EUR 900 a year.", "Pay if it is <EUR 700 or >EUR 900 a year."),
        ("Pay 10² kg of the goods.", "Pay 102 kg of the goods."),
        ("Pay EUR 500¹ to the seller.", "Pay EUR 5001 to the seller."),
        ("Adjustment of the price:\n+ 5 %", "Adjustment of the price:\n- 5 %"),
        ("As set out in Section 1, 30 days' notice is due.", "As set out in Section 1, 60 days' notice is due."),
        ("As in Sections 1 and 99 of it.", "As in Sections 1 and 98 of it."),
    ] {
        let shown = show(&format!("1. {old}\n2. The end."), &format!("1. {new}\n2. The end."));
        assert!(shown.len() == 2 && !shown[0].starts_with("Same"), "{old} / {new}: {shown:?}");
    }
    let whole = |price: &str| format!("---\nprice: EUR {price}\n---\n1. The buyer pays.\n2. The end.");
    assert_eq!(changes(&whole("500"), &whole("900")), ["Money Different: EUR 500 > EUR 900"]);
}

#[test]
fn markup_alone_is_no_difference() {
    let old = "1. **Fees.** The <span id=\"1\">buyer</span> pays “net” under Section 2.\n2. The end.";
    assert_eq!(show(old, "1. Fees. The buyer pays \"net\"\nunder Section 2.\n2. The end."), ["Same 1>1", "Same 2>2"]);
}

#[test]
fn titles_of_groups_are_compared() {
    let text = |title: &str| format!("1. {title}\n1.1 The buyer pays by transfer.\n1.2 The seller sends a bill.");
    let old = text("Payment in euros within 30 days");
    assert_eq!(
        changes(&old, &text("Payment in dollars within 60 days")),
        [
            "Title Different: 1. Payment in euros within 30 days > 1. Payment in dollars within 60 days",
            "Duration Different: 30 days > 60 days"
        ]
    );
    let shown =
        show("第一章 甲方的义务\n第一条 付款。\n第二条 通知。", "第一章 乙方的义务\n第一条 付款。\n第二条 通知。");
    assert_eq!(shown, ["Changed 第一条>第一条", "Same 第二条>第二条"]);
    // A new first clause takes the title over, and another number of the chapter is no change.
    let shown = show("第一章 价款\n第一条 甲方付款。", "第二章 价款\n第一条 双方另行协商确定。\n第二条 甲方付款。");
    assert_eq!(shown, ["OnlyNew >第一条", "Renumbered 第一条>第二条"]);
}

#[test]
fn values_of_headings_are_read() {
    check(
        "1. Payment within 30 days\nBy transfer.\n2. End\nIt ends.",
        "1. Payment within 60 days\nBy transfer.\n2. End\nIt ends.",
        &["Duration Different: 30 days > 60 days"],
    );
}

#[test]
fn dropped_citations_are_changes() {
    let base = "1. Fees are paid.\n2. Secrets are kept.\n3. Liability is capped.\n4. Law of the land.\n5. Data is deleted.\n6. ";
    let old = format!("{base}Sections 1, 2, 3, 4 and 5 survive.");
    check(
        &old,
        &format!("{base}Sections 1, 2, 3 and 4 survive."),
        &["Reference Different: Sections 1, 2, 3, 4 and 5 > Sections 1, 2, 3 and 4"],
    );
}

#[test]
fn words_of_other_languages() {
    let fr = |words: &str| format!("Article 1\n{words}\nArticle 2\nLa loi des parties est celle du pays.");
    let de = |words: &str| format!("§ 1 Frist\n{words}\n§ 2 Recht\nDas ist die Regel der Parteien.");
    let zh = |words: &str| format!("第一条 {words}\n第二条 其他事项由双方另行商定。");
    for (old, new, expected) in [
        (
            fr("Le contrat est conclu pour une durée d'un an par les parties."),
            fr("Le contrat est conclu pour une durée d'un mois par les parties."),
            "Duration Different: un an > un mois",
        ),
        (
            fr("La garantie est transférable dans les pays."),
            fr("La garantie n'est pas transférable dans les pays."),
            "Negation Different: - > n'est pas",
        ),
        (
            fr("Le paiement est dû dans les dix jours ouvrés."),
            fr("Le paiement est dû dans les dix jours ouvrables."),
            "Duration Similar: dix jours ouvrés > dix jours ouvrables",
        ),
        (
            de("Die Zahlung ist binnen 5 Werktagen zu leisten und der Preis ist fest."),
            de("Die Zahlung ist binnen 5 Bankarbeitstagen zu leisten und der Preis ist fest."),
            "Duration Similar: 5 Werktagen > 5 Bankarbeitstagen",
        ),
        (
            de("Die Haftung ist in einem Fall der Fahrlässigkeit ausgeschlossen."),
            de("Die Haftung ist in keinem Fall der Fahrlässigkeit ausgeschlossen."),
            "Negation Different: - > keinem",
        ),
        (zh("本授权可撤销。"), zh("本授权不可撤销。"), "Term Different: 可撤销 > 不可撤销"),
        (zh("本条款仍有效。"), zh("本条款仍无效。"), "Term Different: 有效 > 无效"),
        (
            "1. We share the data of the users.".to_owned(),
            "1. We don't share the data of the users.".to_owned(),
            "Negation Different: - > n't",
        ),
    ] {
        check(&old, &new, &[expected]);
    }
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
    check(
        "1. Goods. The Buyer pays the price.\n2. The end.",
        "1. Goods. The Buyer pays the price. The Buyer may not resell the goods abroad.\n2. The end.",
        &["Modality Different: - > may not"],
    );
    check("Obligations: 1) pay; 2) deliver.", "Obligations: 1) pay; 2) deliver; 3) insure.", &[]);
}

#[test]
fn any_text_is_compared() {
    let huge = "word ".repeat(30_000);
    let started = std::time::Instant::now();
    let deep = "(a) x\n".repeat(12_000);
    let (brackets, article) =
        ("(".repeat(100_000), format!("第一条 甲。\n{}", "（一）甲；\n乙方付款。\n".repeat(10_000)));
    for (old, new) in [(&deep, &brackets), (&article, &article)] {
        assert!(!compare(&Contract::read(old), &Contract::read(new), None).pairs.is_empty());
    }
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    for (old, new) in [("", ""), ("", "1. x"), ("\0", "第一条"), (huge.as_str(), "x"), (huge.as_str(), &huge[5..])] {
        let comparison = compare(&Contract::read(old), &Contract::read(new), None);
        assert!(comparison.pairs.len() <= 2, "{:.20}", old);
    }
}
