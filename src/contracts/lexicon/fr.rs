//! French

use super::Bound::{AtLeast, AtMost, LessThan, MoreThan};
use super::Modality::{May, Must, MustNot};
use super::Sense::{And, AndOr, Bound, Except, Modality, Not, Or, Party, Per, Term};
use super::Weight::{Hard, Soft};
use super::{Lexicon, TermUnit};

#[rustfmt::skip]
pub(in crate::contracts) static FRENCH: Lexicon = Lexicon {
    code: "fr",
    frequent: &["le", "la", "les", "des", "du", "et", "est", "une", "dans", "par", "pour", "que", "au", "aux", "qui"],
    comma_decimal: true,
    day_first: Some(true),
    chapters: &["chapitre", "titre", "partie", "section"],
    articles: &["article", "art."],
    citations: &["articles", "alinéa", "paragraphe", "clause"],
    schedules: &["annexe", "appendice"],
    paragraph: "paragraphe",
    recitals: &["préambule", "considérant", "attendu", "il a été préalablement exposé"],
    signatures: &["signatures", "fait à", "en foi de quoi"],
    contents: &["sommaire", "table des matières"],
    means: &["désigne", "désignent", "signifie", "signifient", "s'entend"],
    citation_tails: &["du", "de", "des", "et", "ou", "à", "est", "ci-dessus", "ci-dessous", "s'applique"],
    numbers: &[
        ("zéro", 0.0), ("un", 1.0), ("une", 1.0), ("deux", 2.0), ("trois", 3.0), ("quatre", 4.0), ("cinq", 5.0),
        ("six", 6.0), ("sept", 7.0), ("huit", 8.0), ("neuf", 9.0), ("dix", 10.0), ("onze", 11.0), ("douze", 12.0),
        ("treize", 13.0), ("quatorze", 14.0), ("quinze", 15.0), ("seize", 16.0), ("vingt", 20.0), ("vingts", 20.0), ("trente", 30.0),
        ("quarante", 40.0), ("cinquante", 50.0), ("soixante", 60.0), ("cent", 100.0), ("cents", 100.0), ("mille", 1e3),
        ("million", 1e6), ("millions", 1e6),
    ],
    number_joints: &["et"],
    vigesimal: true,
    number_compound: None,
    months: &[
        ("janvier", 1), ("février", 2), ("mars", 3), ("avril", 4), ("mai", 5), ("juin", 6), ("juillet", 7), ("août", 8),
        ("septembre", 9), ("octobre", 10), ("novembre", 11), ("décembre", 12),
    ],
    units: &[
        ("jours ouvrés", TermUnit::BusinessDay, 1.0), ("jours ouvrables", TermUnit::WorkingDay, 1.0),
        ("jour ouvré", TermUnit::BusinessDay, 1.0), ("jour ouvrable", TermUnit::WorkingDay, 1.0),
        ("jours calendaires", TermUnit::Day, 1.0), ("jours", TermUnit::Day, 1.0), ("jour", TermUnit::Day, 1.0),
        ("semaine", TermUnit::Week, 1.0), ("semaines", TermUnit::Week, 1.0), ("mois", TermUnit::Month, 1.0),
        ("trimestre", TermUnit::Quarter, 1.0), ("trimestres", TermUnit::Quarter, 1.0), ("an", TermUnit::Year, 1.0),
        ("ans", TermUnit::Year, 1.0), ("année", TermUnit::Year, 1.0), ("années", TermUnit::Year, 1.0), ("heure", TermUnit::Hour, 1.0),
        ("heures", TermUnit::Hour, 1.0),
    ],
    percent: &[("pour cent", 0.01), ("pourcent", 0.01), ("pour mille", 0.001)],
    currencies: &[
        ("eur", "EUR"), ("euro", "EUR"), ("euros", "EUR"), ("€", "EUR"), ("dollars", "USD"), ("usd", "USD"), ("$", "USD"),
        ("chf", "CHF"), ("francs suisses", "CHF"), ("£", "GBP"),
    ],
    factors: &[("mille", 1e3), ("million", 1e6), ("millions", 1e6), ("milliard", 1e9), ("milliards", 1e9)],
    measures: &[
        ("mètres", "m"), ("mètre", "m"), ("kilomètres", "km"), ("km", "km"), ("mètres carrés", "sqm"), ("m2", "sqm"),
        ("kg", "kg"), ("tonnes", "t"), ("litres", "l"), ("exemplaires", "copy"), ("fois", "times"),
    ],
    senses: &[
        ("doit", Modality(Must)), ("doivent", Modality(Must)), ("devra", Modality(Must)), ("devront", Modality(Must)),
        ("est tenu de", Modality(Must)), ("est tenue de", Modality(Must)), ("s'engage à", Modality(Must)),
        ("s'oblige à", Modality(Must)), ("peut", Modality(May)), ("peuvent", Modality(May)), ("pourra", Modality(May)),
        ("pourront", Modality(May)), ("est en droit de", Modality(May)), ("ne peut pas", Modality(MustNot)),
        ("ne peut", Modality(MustNot)), ("ne peuvent", Modality(MustNot)), ("ne pourra", Modality(MustNot)),
        ("ne doit pas", Modality(MustNot)), ("ne doivent pas", Modality(MustNot)), ("s'interdit de", Modality(MustNot)),
        ("n'est pas", Not), ("n'a pas", Not), ("n'ont pas", Not), ("ne sont pas", Not), ("ne sera pas", Not),
        ("ne seront pas", Not), ("n'", Not), ("ne", Not), ("pas", Not), ("jamais", Not), ("sans", Not), ("aucun", Not), ("aucune", Not), ("sauf", Except), ("à moins que", Except),
        ("excepté", Except), ("à l'exception de", Except), ("hormis", Except), ("et", And), ("ainsi que", And), ("ou", Or),
        ("et/ou", AndOr), ("plus de", Bound(MoreThan)), ("supérieur à", Bound(MoreThan)), ("excède", Bound(MoreThan)),
        ("au moins", Bound(AtLeast)), ("au minimum", Bound(AtLeast)), ("au plus", Bound(AtMost)),
        ("au maximum", Bound(AtMost)), ("dans un délai de", Bound(AtMost)), ("dans les", Bound(AtMost)),
        ("jusqu'à", Bound(AtMost)), ("moins de", Bound(LessThan)), ("inférieur à", Bound(LessThan)),
        ("par jour", Per(TermUnit::Day)), ("par semaine", Per(TermUnit::Week)), ("par mois", Per(TermUnit::Month)),
        ("par an", Per(TermUnit::Year)), ("mensuel", Per(TermUnit::Month)), ("mensuellement", Per(TermUnit::Month)),
        ("trimestriellement", Per(TermUnit::Quarter)), ("annuel", Per(TermUnit::Year)), ("annuellement", Per(TermUnit::Year)),
        ("résiliation", Term("ending", "résiliation", Hard)), ("résolution", Term("ending", "résolution", Hard)),
        ("résilier", Term("ending", "résiliation", Hard)), ("suspendre", Term("ending", "suspension", Hard)),
        ("pénalité", Term("remedy", "pénalité", Hard)), ("dommages et intérêts", Term("remedy", "dommages", Hard)),
        ("arrhes", Term("deposit", "arrhes", Hard)), ("acompte", Term("deposit", "acompte", Hard)),
        ("garantie", Term("assurance", "garantie", Soft)), ("acheteur", Party("buyer")),
        ("vendeur", Party("seller")), ("bailleur", Party("landlord")), ("locataire", Party("tenant")),
        ("preneur", Party("tenant")), ("client", Party("client")), ("prestataire", Party("provider")),
        ("fournisseur", Party("supplier")), ("employeur", Party("employer")),
        ("salarié", Party("employee")), ("prêteur", Party("lender")), ("emprunteur", Party("borrower")),
    ],
    laws: &["droit", "lois de", "loi"],
    venues: &["tribunaux de", "tribunal de commerce de", "tribunal de", "tribunal judiciaire de"],
};
