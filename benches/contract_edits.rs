//! Scripted edits of contracts with exact gold: what does the comparison find, and what does it invent?
#![allow(clippy::print_stdout, clippy::expect_used)]

use std::collections::BTreeMap;

use mailsort::contracts::{ChangeKind, ClausePair, Contract, Relation, ValueVerdict, compare};

/// Edits of each kind.
const ROUNDS: usize = 60;

/// A typed edit: language, kind, what stands there, what comes instead, whether the value differs.
type Typed = (&'static str, ChangeKind, &'static str, &'static str, ValueVerdict);

use ChangeKind::*;
use ValueVerdict::{Different as D, Equal as E, Similar as S};

#[rustfmt::skip]
const TYPED: &[Typed] = &[
    ("en", Duration, "30 days", "45 days", D), ("en", Duration, "60 days", "90 days", D), ("en", Duration, "15 days", "15 business days", D),
    ("en", Duration, "one year", "two years", D), ("en", Duration, "three years", "five years", D), ("en", Duration, "ninety (90) days", "ninety (90) hours", D),
    ("en", Duration, "24 months", "12 months", D), ("en", Duration, "per month", "per week", D), ("en", Duration, "30 days", "one month", S),
    ("en", Duration, "30 days", "thirty (30) days", E), ("en", Duration, "24 months", "two years", E), ("en", Duration, "sixty (60) days", "60 days", E),
    ("en", Percent, "5%", "8%", D), ("en", Percent, "50%", "60%", D), ("en", Percent, "2%", "2.5%", D), ("en", Percent, "5%", "five percent (5%)", E), ("en", Percent, "2%", "2 per cent", E),
    ("en", Money, "$1,000,000", "$1,500,000", D), ("en", Money, "EUR 250,000", "USD 250,000", D), ("en", Money, "$2,000,000", "$200,000", D),
    ("en", Money, "$1,000,000", "USD 1 million", E), ("en", Money, "EUR 250,000", "EUR 250k", E),
    ("en", Date, "June 1, 2025", "July 1, 2025", D), ("en", Date, "June 1, 2025", "1 June 2025", E), ("en", Date, "June 1, 2025", "6/1/25", S),
    ("en", Number, "20 miles", "20 kilometers", D), ("en", Number, "500 units", "600 units", D), ("en", Number, "2 counterparts", "4 counterparts", D),
    ("en", Comparison, "more than 30", "at least 30", D), ("en", Comparison, "more than 60", "less than 60", D), ("en", Comparison, "at least 24", "more than 24", D), ("en", Comparison, "no later than", "after", D),
    ("en", Modality, " shall ", " may ", D), ("en", Modality, " will ", " may ", D), ("en", Modality, " must ", " can ", D), ("en", Modality, " may ", " shall ", D), ("en", Modality, " shall not ", " shall ", D),
    ("en", Modality, " will not ", " will ", D), ("en", Modality, " may ", " may not ", D), ("en", Modality, " is required to ", " is entitled to ", D), ("en", Modality, " shall ", " must ", E),
    ("en", Negation, " is ", " is not ", D), ("en", Negation, " are not ", " are ", D), ("en", Negation, " are ", " are not ", D), ("en", Negation, " do not ", " ", D),
    ("en", Exception, ", unless ", ", if ", D), ("en", Exception, ", except ", ", also ", D), ("en", Exception, "Except as ", "Just as ", D),
    ("en", Party, "Seller", "Lender", D), ("en", Party, "Customer", "Provider", D), ("en", Party, "Discloser", "Recipient", D),
    ("en", Connective, " and ", " or ", D), ("en", Connective, " or ", " and ", D),
    ("en", Law, "State of New York", "State of Delaware", D), ("en", Venue, "courts located in New York County", "courts located in Kent County", D),
    ("en", Term, "best efforts", "reasonable efforts", D), ("en", Term, "indemnify", "compensate", D), ("en", Term, "warranty", "guarantee", D), ("en", Term, "consent", "notice", D), ("en", Term, "terminate", "suspend", D),
    ("en", WordsAgainstFigures, "sixty (60) days", "sixty (50) days", D), ("en", WordsAgainstFigures, "ninety (90) days", "ninety (80) days", D),
    ("zh", Duration, "30日", "45日", D), ("zh", Duration, "三年", "五年", D), ("zh", Duration, "15个工作日", "15日", D), ("zh", Duration, "两周", "三周", D), ("zh", Duration, "24个月", "12个月", D), ("zh", Duration, "按月", "按季度", D),
    ("zh", Duration, "六个月", "三个月", D), ("zh", Duration, "五年", "七年", D), ("zh", Duration, "三十日", "六十日", D), ("zh", Duration, "一年", "两年", D),
    ("zh", Duration, "30日", "一个月", S), ("zh", Duration, "24个月", "两年", E), ("zh", Duration, "30日", "三十日", E), ("zh", Duration, "两周", "14日", E),
    ("zh", Percent, "5%", "8%", D), ("zh", Percent, "万分之五", "千分之五", D), ("zh", Percent, "百分之三十", "百分之二十", D), ("zh", Percent, "百分之一", "百分之三", D), ("zh", Percent, "5%", "百分之五", E), ("zh", Percent, "百分之三十", "三成", E), ("zh", Percent, "百分之十", "10%", E),
    ("zh", Money, "人民币1,000,000元", "人民币1,100,000元", D), ("zh", Money, "2,000,000元", "200,000元", D), ("zh", Money, "人民币1,000,000元", "人民币壹佰万元整", E), ("zh", Money, "人民币2,000,000元", "200万元", E),
    ("zh", Money, "五十万元", "一百万元", D), ("zh", Money, "五百万元", "500万元", E),
    ("zh", Date, "2025年6月1日", "2025年7月1日", D), ("zh", Date, "2025年6月1日", "二〇二五年六月一日", E),
    ("zh", Number, "20台", "30台", D), ("zh", Number, "四份", "六份", D), ("zh", Number, "100公里", "100米", D), ("zh", Number, "5名", "五名", E),
    ("zh", Comparison, "超过60日", "不少于60日", D), ("zh", Comparison, "不少于24", "超过24", D), ("zh", Comparison, "不超过100", "超过100", D), ("zh", Comparison, "倍以上", "倍以下", D),
    ("zh", Modality, "应当", "可以", D), ("zh", Modality, "可以", "应当", D), ("zh", Modality, "不得", "可以", D), ("zh", Modality, "有权", "应当", D), ("zh", Modality, "应当", "必须", E),
    ("zh", Negation, "不能", "能", D), ("zh", Negation, "没有", "有", D),
    ("zh", Exception, "的除外", "的亦同", D), ("zh", Party, "甲方", "丙方", D), ("zh", Party, "乙方", "甲方", D), ("zh", Connective, "或者", "和", D), ("zh", Connective, "以及", "或者", D),
    ("zh", Law, "《中华人民共和国反垄断法》", "《中华人民共和国公司法》", D), ("zh", Law, "中华人民共和国法律", "香港特别行政区法律", D), ("zh", Venue, "北京市海淀区", "上海市浦东新区", D), ("zh", Term, "违约金", "赔偿金", D), ("zh", Term, "定金", "订金", D), ("zh", Term, "解除", "终止", S), ("zh", Term, "含税", "不含税", D),
    ("de", Duration, "14 Tagen", "14 Werktagen", D), ("de", Duration, "drei Monate", "sechs Monate", D), ("de", Duration, "monatlich", "wöchentlich", D), ("de", Duration, "zwei Jahre", "24 Monate", E), ("de", Duration, "10 Tagen", "zehn Tagen", E),
    ("de", Money, "EUR 1.250,00", "EUR 1.350,00", D), ("de", Money, "3.750,00 EUR", "3750 Euro", E), ("de", Percent, "15 Prozent", "20 Prozent", D), ("de", Percent, "5 %", "fünf Prozent", E), ("de", Number, "80 m2", "90 m2", D),
    ("de", Date, "1. Juni 2025", "1. Juli 2025", D), ("de", Date, "1. Juni 2025", "01.06.2025", E), ("de", Comparison, "höchstens", "mindestens", D), ("de", Modality, " muss ", " kann ", D), ("de", Modality, " kann ", " muss ", D), ("de", Modality, " darf ", " muss ", D),
    ("de", Exception, "es sei denn", "weil", D), ("de", Term, "grobe Fahrlässigkeit", "Fahrlässigkeit", D), ("de", Term, "schriftlich", "in Textform", D), ("de", Party, "Der Vermieter", "Der Mieter", D), ("de", Connective, " oder ", " und ", D), ("de", Law, "Bundesrepublik Deutschland", "Republik Österreich", D),
];

/// A contract as texts that can be numbered anew. A citation is the index of its clause between private characters.
#[derive(Clone)]
struct Draft {
    language: &'static str,
    units: Vec<Unit>,
}

#[derive(Clone, PartialEq)]
struct Unit {
    id: usize,
    text: String,
    definition: bool,
}

/// A linear congruential generator: the same edits in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

#[derive(Default)]
struct Tally {
    found: usize,
    missed: usize,
    invented: usize,
}

struct Bench {
    kinds: BTreeMap<String, Tally>,
    relations: BTreeMap<&'static str, (usize, usize)>,
    untouched: usize,
    alarms: usize,
    edits: usize,
    shown: usize,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let folder = arguments.next().unwrap_or_else(|| "../shared/data/contracts".to_owned());
    let verbose: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let drafts = drafts(&folder);
    let mut bench =
        Bench { kinds: BTreeMap::new(), relations: BTreeMap::new(), untouched: 0, alarms: 0, edits: 0, shown: verbose };
    let mut random = Random(20_261_130);
    for draft in &drafts {
        bench.typed(draft, &mut random);
        bench.swaps(draft, &mut random);
        bench.references(draft, &mut random);
    }
    for round in 0..ROUNDS {
        let draft = &drafts[round % drafts.len()];
        let other = &drafts[(round + 1 + random.below(drafts.len() - 1)) % drafts.len()];
        bench.structural(draft, other, &mut random);
    }
    bench.print();
}

fn drafts(folder: &str) -> Vec<Draft> {
    let mut texts: Vec<String> = vec![
        include_str!("contracts/sale-en.txt").to_owned(),
        include_str!("contracts/sale-zh.txt").to_owned(),
        include_str!("contracts/lease-de.txt").to_owned(),
    ];
    for name in [
        "csa/CSA-2.0.md",
        "csa/CSA-1.1.md",
        "nda/mutual-nda-1.0.md",
        "github-terms/2021-11.md",
        "statutes-zh/lifafa-2023.md",
        "statutes-zh/fanlongduanfa-2022.md",
        "statutes-zh/funvquanyi-2022.md",
    ] {
        texts.extend(std::fs::read_to_string(format!("{folder}/{name}")).ok());
    }
    texts.iter().map(|text| Draft::read(text)).collect()
}

impl Draft {
    fn read(text: &str) -> Draft {
        let contract = Contract::read(text);
        let keep: Vec<usize> = (0..contract.clauses.len())
            .filter(|i| contract.clauses[*i].number.chars().any(|c| c.is_ascii_digit() || c == '条'))
            .collect();
        let mut units = Vec::new();
        for &i in &keep {
            let clause = &contract.clauses[i];
            let mut body = contract.matching_text(i);
            for reference in &clause.references {
                let cited = &contract.text[reference.start..reference.end];
                let known = reference.targets.iter().find_map(|t| keep.iter().position(|k| k == t));
                let name = match known {
                    Some(target) => format!("\u{e000}{target}\u{e001}"),
                    // A number that is not written anew would be wrong after each edit.
                    None if reference.external => continue,
                    None => "the said terms".to_owned(),
                };
                let visible = Contract::read(cited).matching_text(0);
                let cited = if body.contains(cited) { cited.to_owned() } else { visible };
                body = body.replacen(&cited, &name, 1);
            }
            units.push(Unit { id: units.len(), text: body, definition: clause.definition.is_some() });
        }
        Draft { language: contract.language, units }
    }

    /// Writes the contract with running numbers; returns where each unit begins.
    fn render(&self) -> (String, Vec<usize>) {
        let number = |n: usize| match self.language {
            "zh" => format!("第{}条", han(n)),
            "de" => format!("§ {n}"),
            _ => format!("{n}."),
        };
        let mut text = String::new();
        let mut starts = Vec::new();
        for (k, unit) in self.units.iter().enumerate() {
            starts.push(text.len());
            text.push_str(&format!("{} ", number(k + 1)));
            let mut rest = unit.text.as_str();
            while let Some((before, after)) = rest.split_once('\u{e000}') {
                let (id, after) = after.split_once('\u{e001}').expect("closed");
                let place = self.units.iter().position(|unit| unit.id.to_string() == id).map_or(999, |place| place + 1);
                text.push_str(before);
                text.push_str(&match self.language {
                    "zh" => format!("第{}条", han(place)),
                    "de" => format!("§ {place}"),
                    _ => format!("Section {place}"),
                });
                rest = after;
            }
            text.push_str(rest);
            text.push_str("\n\n");
        }
        (text, starts)
    }

    fn cites(&self, id: usize) -> bool {
        let mark = format!("\u{e000}{id}\u{e001}");
        self.units.iter().any(|unit| unit.text.contains(&mark))
    }
}

fn han(n: usize) -> String {
    let digits = ["", "一", "二", "三", "四", "五", "六", "七", "八", "九"];
    let tens = |n: usize| match n {
        0..=9 => digits[n].to_owned(),
        10..=19 => format!("十{}", digits[n - 10]),
        _ => format!("{}十{}", digits[n / 10], digits[n % 10]),
    };
    match n {
        100..=109 if n > 100 => format!("一百零{}", digits[n - 100]),
        110..=199 => format!("一百{}{}", if n < 120 { "一" } else { "" }, tens(n - 100)),
        100 => "一百".to_owned(),
        _ => tens(n),
    }
}

/// A comparison by units.
struct Outcome {
    old: Contract,
    new: Contract,
    pairs: Vec<ClausePair>,
    old_units: Vec<usize>,
    new_units: Vec<usize>,
}

impl Outcome {
    fn new(old: &Draft, new: &Draft) -> Outcome {
        let (a, starts) = old.render();
        let (b, others) = new.render();
        let (old, new) = (Contract::read(&a), Contract::read(&b));
        let pairs = compare(&old, &new, None).pairs;
        let unit = |contract: &Contract, starts: &[usize]| -> Vec<usize> {
            contract
                .clauses
                .iter()
                .map(|clause| starts.partition_point(|start| *start <= clause.start).saturating_sub(1))
                .collect()
        };
        let (old_units, new_units) = (unit(&old, &starts), unit(&new, &others));
        Outcome { old, new, pairs, old_units, new_units }
    }

    /// The pairs that hold a unit of the old or of the new draft.
    fn pairs_of(&self, old: Option<usize>, new: Option<usize>) -> Vec<&ClausePair> {
        let holds = |pair: &&ClausePair| {
            old.is_some_and(|unit| pair.old.iter().any(|i| self.old_units[*i] == unit))
                || new.is_some_and(|unit| pair.new.iter().any(|j| self.new_units[*j] == unit))
        };
        self.pairs.iter().filter(holds).collect()
    }
}

impl Bench {
    fn relation(&mut self, name: &'static str, is_right: bool) {
        let entry = self.relations.entry(name).or_default();
        entry.0 += usize::from(is_right);
        entry.1 += 1;
        self.edits += 1;
    }

    fn tally(&mut self, kind: ChangeKind, verdict: ValueVerdict) -> &mut Tally {
        let name = if verdict == E { format!("{kind:?} equal") } else { format!("{kind:?}") };
        self.kinds.entry(name).or_default()
    }

    fn say(&mut self, text: impl FnOnce() -> String) {
        if self.shown > 0 {
            self.shown -= 1;
            println!("{}", text());
        }
    }

    /// Counts alarms in all pairs but those that hold the touched units.
    fn alarms(&mut self, outcome: &Outcome, old: &[usize], new: &[usize], name: &str) {
        for pair in &outcome.pairs {
            let is_touched = pair.old.iter().any(|i| old.contains(&outcome.old_units[*i]))
                || pair.new.iter().any(|j| new.contains(&outcome.new_units[*j]));
            if is_touched {
                continue;
            }
            self.untouched += 1;
            let is_quiet = matches!(pair.relation, Relation::Same | Relation::Renumbered) && !pair.moved;
            if !is_quiet {
                self.alarms += 1;
                self.say(|| {
                    let text =
                        |c: &Contract, all: &[usize]| all.iter().map(|i| c.matching_text(*i)).collect::<Vec<_>>();
                    format!(
                        "ALARM after {name}: {:?} {:?}\n  {:?}\n  {:?}",
                        pair.relation,
                        pair.changes,
                        text(&outcome.old, &pair.old),
                        text(&outcome.new, &pair.new)
                    )
                });
            }
        }
    }

    fn typed(&mut self, draft: &Draft, random: &mut Random) {
        for &(language, kind, from, to, verdict) in TYPED.iter().filter(|row| row.0 == draft.language) {
            let places: Vec<(usize, usize)> = draft
                .units
                .iter()
                .enumerate()
                .flat_map(|(k, unit)| unit.text.match_indices(from).map(move |(at, _)| (k, at)))
                .filter(|(k, at)| is_place(&draft.units[*k].text, *at, from, to, language))
                .collect();
            let mut places = places;
            for _ in 0..6.min(places.len()) {
                let (k, at) = places.swap_remove(random.below(places.len()));
                let mut new = draft.clone();
                let text = &mut new.units[k].text;
                *text = format!("{}{to}{}", &text[..at], &text[at + from.len()..]);
                self.judge_typed(draft, &new, k, kind, verdict, &format!("{from} -> {to}"));
            }
        }
    }

    fn judge_typed(&mut self, old: &Draft, new: &Draft, k: usize, kind: ChangeKind, verdict: ValueVerdict, name: &str) {
        let outcome = Outcome::new(old, new);
        let changes: Vec<_> = outcome.pairs_of(Some(k), Some(k)).iter().flat_map(|pair| pair.changes.clone()).collect();
        let hit = changes.iter().position(|change| change.kind == kind && change.verdict == verdict);
        // Equal words of one duty are not listed.
        let is_silent = verdict == E && matches!(kind, Modality | Connective);
        let is_found = hit.is_some() || is_silent;
        let tally = self.tally(kind, verdict);
        if is_found {
            tally.found += 1
        } else {
            tally.missed += 1
        }
        for (i, change) in changes.iter().enumerate() {
            if change.verdict != E && Some(i) != hit {
                self.tally(change.kind, change.verdict).invented += 1;
                self.say(|| {
                    format!("INVENTED by {name}: {change:?}\n  {}\n  {}", old.units[k].text, new.units[k].text)
                });
            }
        }
        if !is_found {
            self.say(|| {
                format!("MISSED {kind:?} {name}: {changes:?}\n  {}\n  {}", old.units[k].text, new.units[k].text)
            });
        }
        let expected = if verdict == E { Relation::Reworded } else { Relation::Changed };
        let pairs = outcome.pairs_of(Some(k), Some(k));
        let is_right = matches!(pairs.as_slice(), [pair] if pair.relation == expected);
        self.relation(if verdict == E { "equivalent" } else { "typed change" }, is_right);
        self.alarms(&outcome, &[k], &[k], name);
    }

    /// Two parties that change places in one clause.
    fn swaps(&mut self, draft: &Draft, random: &mut Random) {
        for (a, b) in [("Seller", "Buyer"), ("Customer", "Provider"), ("甲方", "乙方"), ("Recipient", "Discloser")]
        {
            let mut places: Vec<usize> = (0..draft.units.len())
                .filter(|k| draft.units[*k].text.contains(a) && draft.units[*k].text.contains(b))
                .collect();
            for _ in 0..5.min(places.len()) {
                let k = places.swap_remove(random.below(places.len()));
                if draft.units[k].definition {
                    continue;
                }
                let mut new = draft.clone();
                new.units[k].text = draft.units[k].text.replace(a, "\u{1}").replace(b, a).replace('\u{1}', b);
                self.judge_typed(draft, &new, k, RoleSwap, D, &format!("{a} <-> {b}"));
            }
        }
    }

    /// A citation of another clause.
    fn references(&mut self, draft: &Draft, random: &mut Random) {
        for k in 0..draft.units.len() {
            let Some((before, rest)) = draft.units[k].text.split_once('\u{e000}') else { continue };
            let Some((id, after)) = rest.split_once('\u{e001}') else { continue };
            let other = random.below(draft.units.len());
            if other.to_string() == id {
                continue;
            }
            let mut new = draft.clone();
            new.units[k].text = format!("{before}\u{e000}{other}\u{e001}{after}");
            self.judge_typed(draft, &new, k, Reference, D, "citation");
        }
    }

    fn structural(&mut self, draft: &Draft, other: &Draft, random: &mut Random) {
        let n = draft.units.len();
        let free = |k: usize| !draft.units[k].definition && draft.units[k].text.chars().count() > 20;
        let Some(k) = (0..50).map(|_| random.below(n)).find(|k| free(*k)) else { return };
        // Move.
        let to = (k + n / 3 + random.below(n / 3 + 1)) % n;
        let mut new = draft.clone();
        let unit = new.units.remove(k);
        new.units.insert(to, unit);
        let outcome = Outcome::new(draft, &new);
        let is_right =
            matches!(outcome.pairs_of(Some(k), Some(to)).as_slice(), [pair] if pair.relation == Relation::Moved);
        self.relation("move", is_right || to == k);
        self.alarms(&outcome, &[k], &[to], "move");
        // Swap with the next one.
        let mut new = draft.clone();
        let next = (k + 1) % n;
        new.units.swap(k, next);
        let outcome = Outcome::new(draft, &new);
        let moved = outcome.pairs.iter().filter(|pair| pair.moved).count();
        let is_alone = next == 0 || moved == 1;
        self.relation("swap", is_alone || draft.units[next].definition);
        self.alarms(&outcome, &[k, next], &[k, next], "swap");
        // Delete, unless it is cited.
        if !draft.cites(draft.units[k].id) {
            let mut new = draft.clone();
            new.units.remove(k);
            let outcome = Outcome::new(draft, &new);
            let is_right =
                matches!(outcome.pairs_of(Some(k), None).as_slice(), [pair] if pair.relation == Relation::OnlyOld);
            self.relation("delete", is_right);
            self.alarms(&outcome, &[k], &[], "delete");
        }
        // Insert from another contract: numbers shift by one.
        if let Some(foreign) =
            (0..50).map(|_| &other.units[random.below(other.units.len())]).find(|u| !u.text.contains('\u{e000}'))
        {
            let mut new = draft.clone();
            new.units.insert(k, Unit { id: usize::MAX, text: foreign.text.clone(), definition: false });
            let outcome = Outcome::new(draft, &new);
            let has_twin = draft.units.iter().any(|unit| alike(&unit.text, &foreign.text));
            let is_right =
                matches!(outcome.pairs_of(None, Some(k)).as_slice(), [pair] if pair.relation == Relation::OnlyNew);
            if !has_twin {
                self.relation("insert", is_right);
                self.alarms(&outcome, &[], &[k], "insert");
            }
        }
        self.split_and_merge(draft, random);
    }

    fn split_and_merge(&mut self, draft: &Draft, random: &mut Random) {
        let n = draft.units.len();
        let halves = |k: usize| {
            let text = &draft.units[k].text;
            let middle = text.len() / 2;
            text.match_indices(['.', '。', '；', ';'])
                .map(|(at, mark)| at + mark.len())
                .filter(|at| text[*at..].starts_with(' ') || draft.language == "zh")
                .filter(|at| *at > text.len() / 4 && *at < text.len() * 3 / 4)
                .filter(|at| text[..*at].matches('\u{e000}').count() == text[..*at].matches('\u{e001}').count())
                .min_by_key(|at| at.abs_diff(middle))
        };
        let Some((k, at)) = (0..80).map(|_| random.below(n)).find_map(|k| {
            halves(k)
                .filter(|_| !draft.units[k].definition && draft.units[k].text.chars().count() > 60)
                .map(|at| (k, at))
        }) else {
            return;
        };
        let mut new = draft.clone();
        let tail = new.units[k].text.split_off(at).trim_start().to_owned();
        new.units.insert(k + 1, Unit { id: usize::MAX - 1, text: tail, definition: false });
        let outcome = Outcome::new(draft, &new);
        let is_right = matches!(outcome.pairs_of(Some(k), None).as_slice(),
            [pair] if pair.relation == Relation::Split && pair.new.len() == 2);
        self.relation("split", is_right);
        if !is_right {
            self.say(|| {
                format!(
                    "NO SPLIT {:?}\n{}\n{}\n{}",
                    outcome
                        .pairs
                        .iter()
                        .filter(|p| p.relation != Relation::Same && p.relation != Relation::Renumbered)
                        .map(|p| (p.relation, p.old.clone(), p.new.clone()))
                        .collect::<Vec<_>>(),
                    draft.units[k].text,
                    new.units[k].text,
                    new.units[k + 1].text
                )
            });
        }
        self.alarms(&outcome, &[k], &[k, k + 1], "split");
        let outcome = Outcome::new(&new, draft);
        let is_right = matches!(outcome.pairs_of(None, Some(k)).as_slice(),
            [pair] if pair.relation == Relation::Merged && pair.old.len() == 2);
        self.relation("merge", is_right);
        self.alarms(&outcome, &[k, k + 1], &[k], "merge");
    }

    fn print(&self) {
        println!("{} edits", self.edits);
        let (mut found, mut missed, mut invented) = (0, 0, 0);
        println!(
            "{:<28}{:>8}{:>8}{:>10}{:>11}{:>9}",
            "typed change", "found", "missed", "invented", "precision", "recall"
        );
        for (name, t) in &self.kinds {
            (found, missed, invented) = (found + t.found, missed + t.missed, invented + t.invented);
            println!(
                "{name:<28}{:>8}{:>8}{:>10}{:>11.3}{:>9.3}",
                t.found,
                t.missed,
                t.invented,
                share(t.found, t.invented),
                share(t.found, t.missed)
            );
        }
        println!(
            "{:<28}{found:>8}{missed:>8}{invented:>10}{:>11.3}{:>9.3}",
            "all",
            share(found, invented),
            share(found, missed)
        );
        for (name, (right, all)) in &self.relations {
            println!("relation after {name:<14} {right:>4} of {all:>4}  {:.3}", share(*right, all - right));
        }
        println!(
            "false alarms: {} in {} unchanged clauses, {:.3} per 100",
            self.alarms,
            self.untouched,
            100.0 * self.alarms as f64 / self.untouched as f64
        );
    }
}

fn share(right: usize, wrong: usize) -> f64 {
    right as f64 / (right + wrong).max(1) as f64
}

/// True where the words stand for themselves and the edit makes the change that the table says.
fn is_place(text: &str, at: usize, from: &str, to: &str, language: &str) -> bool {
    let before: String = text[..at].chars().rev().take(3).collect::<Vec<_>>().into_iter().rev().collect();
    let after = &text[at + from.len()..];
    let starts_word =
        !from.starts_with(char::is_alphanumeric) || !before.ends_with(char::is_alphanumeric) || language == "zh";
    let ends_word =
        !from.ends_with(char::is_alphanumeric) || !after.starts_with(char::is_alphanumeric) || language == "zh";
    if !starts_word || !ends_word || before.ends_with('(') && from.starts_with(char::is_numeric) {
        return false;
    }
    let next = after.split_whitespace().next().unwrap_or_default();
    if language == "zh" {
        let bad = before.ends_with(['不', '第', '共', '未', '十', '百', '前']) || before.ends_with(char::is_numeric);
        // 三个以上 and 一年度 are other words; 期满三年以上 has a bound of its own.
        return !bad
            && !(from.ends_with('年') && after.starts_with(['度', '级', '以'])
                || from == "有权" && after.starts_with(['机', '的'])
                || from.starts_with("含税") && before.ends_with('不')
                || from == "不得" && after.starts_with(['超', '少', '低', '高', '多']));
    }
    let is_modal = from.trim() != from;
    !(is_modal
        && matches!(next, "not" | "nicht" | "be" | "have" if next == "not" || next == "nicht" || from.trim() == "shall" && after.contains("the right"))
        || from.trim() == "may" && to.trim() == "may not" && next == "not"
        || matches!(from.trim(), "is" | "are")
            && matches!(
                next,
                "not"
                    | "required"
                    | "entitled"
                    | "permitted"
                    | "obligated"
                    | "no"
                    | "prohibited"
                    | "obliged"
                    | "defined"
            )
        || from.trim() == "are not" && matches!(next, "required" | "obligated" | "permitted" | "entitled")
        || matches!(from.trim(), "and" | "or")
            && (next.starts_with(|c: char| c.is_ascii_digit() || c == '\u{e000}')
                || matches!(next, "more" | "less" | "fewer" | "not")
                || before.ends_with(','))
        || from == "warranty" && before.ends_with("ing"))
}

/// True if two texts share most of their words.
fn alike(a: &str, b: &str) -> bool {
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        if text.chars().any(|c| c > '\u{3000}') {
            let all: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
            return all.windows(2).map(|w| w.iter().collect()).collect();
        }
        text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 3).map(str::to_owned).collect()
    };
    let (a, b) = (words(a), words(b));
    let common = a.intersection(&b).count();
    common * 4 >= a.len().min(b.len())
}
