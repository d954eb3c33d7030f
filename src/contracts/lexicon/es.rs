//! Spanish

use super::Bound::{AtLeast, AtMost, LessThan, MoreThan};
use super::Modality::{May, Must, MustNot};
use super::Sense::{And, AndOr, Bound, Except, Modality, Not, Or, Party, Per, Term};
use super::Weight::Hard;
use super::{Lexicon, TermUnit};

#[rustfmt::skip]
pub(in crate::contracts) static SPANISH: Lexicon = Lexicon {
    code: "es",
    frequent: &["el", "los", "las", "del", "y", "que", "una", "por", "con", "para", "se", "al", "la", "o", "es", "su"],
    comma_decimal: true,
    day_first: Some(true),
    chapters: &["capítulo", "título", "parte", "sección"],
    articles: &["artículo", "cláusula", "art."],
    citations: &["artículos", "cláusulas", "apartado", "apartados", "párrafo", "numeral"],
    schedules: &["anexo", "apéndice"],
    paragraph: "párrafo",
    recitals: &["considerando", "exponen", "antecedentes"],
    signatures: &["firmas", "en prueba de conformidad", "en fe de lo cual"],
    contents: &["índice", "contenido"],
    means: &["significa", "significan", "se entiende", "designa"],
    citation_tails: &["de", "del", "y", "o", "a", "es", "será", "anterior"],
    numbers: &[
        ("cero", 0.0), ("un", 1.0), ("uno", 1.0), ("una", 1.0), ("dos", 2.0), ("tres", 3.0), ("cuatro", 4.0),
        ("cinco", 5.0), ("seis", 6.0), ("siete", 7.0), ("ocho", 8.0), ("nueve", 9.0), ("diez", 10.0), ("once", 11.0),
        ("doce", 12.0), ("trece", 13.0), ("catorce", 14.0), ("quince", 15.0), ("veinte", 20.0), ("treinta", 30.0),
        ("cuarenta", 40.0), ("cincuenta", 50.0), ("sesenta", 60.0), ("setenta", 70.0), ("ochenta", 80.0),
        ("noventa", 90.0), ("cien", 100.0), ("ciento", 100.0), ("mil", 1e3), ("millón", 1e6), ("millones", 1e6),
        ("dieciséis", 16.0), ("diecisiete", 17.0), ("dieciocho", 18.0), ("diecinueve", 19.0), ("veintiún", 21.0),
        ("veintiuno", 21.0), ("veintiuna", 21.0), ("veintidós", 22.0), ("veintitrés", 23.0), ("veinticuatro", 24.0),
        ("veinticinco", 25.0), ("veintiséis", 26.0), ("veintisiete", 27.0), ("veintiocho", 28.0),
        ("veintinueve", 29.0), ("doscientos", 200.0), ("doscientas", 200.0), ("trescientos", 300.0),
        ("trescientas", 300.0), ("cuatrocientos", 400.0), ("cuatrocientas", 400.0), ("quinientos", 500.0),
        ("quinientas", 500.0), ("seiscientos", 600.0), ("seiscientas", 600.0), ("setecientos", 700.0),
        ("setecientas", 700.0), ("ochocientos", 800.0), ("ochocientas", 800.0), ("novecientos", 900.0),
        ("novecientas", 900.0),
    ],
    number_joints: &["y"],
    vigesimal: false,
    number_compound: None,
    months: &[
        ("enero", 1), ("febrero", 2), ("marzo", 3), ("abril", 4), ("mayo", 5), ("junio", 6), ("julio", 7), ("agosto", 8),
        ("septiembre", 9), ("octubre", 10), ("noviembre", 11), ("diciembre", 12),
    ],
    units: &[
        ("días hábiles", TermUnit::BusinessDay, 1.0), ("día hábil", TermUnit::BusinessDay, 1.0),
        ("días laborables", TermUnit::BusinessDay, 1.0), ("días naturales", TermUnit::Day, 1.0), ("día", TermUnit::Day, 1.0),
        ("días", TermUnit::Day, 1.0), ("semana", TermUnit::Week, 1.0), ("semanas", TermUnit::Week, 1.0), ("mes", TermUnit::Month, 1.0),
        ("meses", TermUnit::Month, 1.0), ("trimestre", TermUnit::Quarter, 1.0), ("año", TermUnit::Year, 1.0),
        ("años", TermUnit::Year, 1.0), ("hora", TermUnit::Hour, 1.0), ("horas", TermUnit::Hour, 1.0),
    ],
    percent: &[("por ciento", 0.01), ("por mil", 0.001)],
    currencies: &[
        ("eur", "EUR"), ("euro", "EUR"), ("euros", "EUR"), ("€", "EUR"), ("dólares", "USD"), ("usd", "USD"), ("$", "USD"),
        ("pesos", "MXN"), ("mxn", "MXN"),
    ],
    factors: &[("mil", 1e3), ("millón", 1e6), ("millones", 1e6)],
    measures: &[
        ("metros", "m"), ("kilómetros", "km"), ("km", "km"), ("metros cuadrados", "sqm"), ("m2", "sqm"), ("kg", "kg"),
        ("toneladas", "t"), ("litros", "l"), ("ejemplares", "copy"), ("veces", "times"),
    ],
    senses: &[
        ("debe", Modality(Must)), ("deben", Modality(Must)), ("deberá", Modality(Must)), ("deberán", Modality(Must)),
        ("está obligado a", Modality(Must)), ("se obliga a", Modality(Must)), ("se compromete a", Modality(Must)),
        ("puede", Modality(May)), ("pueden", Modality(May)), ("podrá", Modality(May)), ("podrán", Modality(May)),
        ("tiene derecho a", Modality(May)), ("no puede", Modality(MustNot)), ("no podrá", Modality(MustNot)),
        ("no podrán", Modality(MustNot)), ("no deberá", Modality(MustNot)), ("no debe", Modality(MustNot)),
        ("no", Not), ("sin", Not), ("ningún", Not), ("ninguna", Not), ("salvo", Except), ("excepto", Except),
        ("a menos que", Except), ("con excepción de", Except), ("y", And), ("e", And), ("o", Or), ("u", Or),
        ("y/o", AndOr), ("más de", Bound(MoreThan)), ("superior a", Bound(MoreThan)), ("al menos", Bound(AtLeast)),
        ("como mínimo", Bound(AtLeast)), ("no menos de", Bound(AtLeast)), ("como máximo", Bound(AtMost)),
        ("no más de", Bound(AtMost)), ("dentro de", Bound(AtMost)), ("en un plazo de", Bound(AtMost)),
        ("hasta", Bound(AtMost)), ("menos de", Bound(LessThan)), ("inferior a", Bound(LessThan)),
        ("por día", Per(TermUnit::Day)), ("por semana", Per(TermUnit::Week)), ("por mes", Per(TermUnit::Month)),
        ("por año", Per(TermUnit::Year)), ("mensual", Per(TermUnit::Month)), ("mensualmente", Per(TermUnit::Month)),
        ("anual", Per(TermUnit::Year)), ("anualmente", Per(TermUnit::Year)), ("trimestral", Per(TermUnit::Quarter)),
        ("rescisión", Term("ending", "rescisión", Hard)), ("resolución", Term("ending", "resolución", Hard)),
        ("penalización", Term("remedy", "penalización", Hard)), ("indemnización", Term("remedy", "indemnización", Hard)),
        ("comprador", Party("buyer")), ("vendedor", Party("seller")), ("arrendador", Party("landlord")),
        ("arrendatario", Party("tenant")), ("cliente", Party("client")), ("proveedor", Party("supplier")),
        ("prestador", Party("provider")), ("empleador", Party("employer")), ("trabajador", Party("employee")),
    ],
    laws: &["leyes de", "legislación", "ley"],
    venues: &["tribunales de", "juzgados de", "juzgados y tribunales de"],
};
