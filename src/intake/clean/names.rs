//! Names: does a line look like the name that someone signs with?

use std::collections::HashSet;
use std::sync::LazyLock;

use super::lines::{is_cjk, trim};

/// Given names common enough that one of them alone on the last line is a signature and not an
/// answer ("London"). Names that are also everyday words (Will, Grace, Mark, Hope, May) are left
/// out unless their use as a name is far more common.
const GIVEN: &str = "aaron adam adrian alan albert alejandro alex alexander alexandra alice alison allen amanda amy ana anders \
    andre andrea andreas andrew andy angela anita ann anna anne anthony antonio ari arthur ashley barbara beatrice ben benjamin bernard bernd \
    beth betty bill bob bobby brad brandon brenda brent brian bruce bryan carl carla carlos carol caroline cathy catherine \
    charles charlie charlotte chris christian christina christine christoph christopher cindy claire clara claudia claus colin connie \
    craig cynthia dan daniel daniela danny darren dave david dean deb debbie deborah debra delainey denise dennis derek diana diane \
    diego dieter dirk don donald donna dorothy doug douglas ed eddie eduardo edward elena elisabeth elizabeth ellen emily \
    emma enrique eric erik erika ernest esther eva evelyn felix fernando florian fran frances francesca francesco francis \
    francisco francois frank frans fred frederic gabriel gail gary gavin geoff george gerald gerard gerd gerry giovanni \
    giulia glenn gloria gordon graham greg gregory guido guillaume gustavo guy hans harald harold harry heather heidi helen helena henri henrik \
    henry herbert holger howard hugh ian igor ingrid irene isabel ivan jack jacob jacques jake james jamie jan jane janet \
    janice jason javier jay jean jeff jeffrey jen jennifer jenny jens jeremy jerry jesse jessica jill jim jimmy jo joan joe joel johan \
    johann johannes john johnny jon jonas jonathan jordan jorge jose josé josef joseph joshua juan judith judy julia julian julie jun \
    jürgen justin karen karin karl kate katherine kathleen kathryn kathy katie kay keith kelly ken kenneth kerry kevin kim kimberly \
    klaus kurt kyle larry lars laura lauren laurent lawrence lee leo leon leonard leslie linda lisa liz lorenzo louis louise luc luca \
    lucas lucy luigi luis luke lynn manuel marc marcel marco marcus margaret maria marie marilyn mario marion mark markus martha martin \
    martina mary mathias matt matthew matthias maurice max megan melanie melissa micah michael michel michele michelle miguel mike \
    miriam mohamed mohammed monica monika monique nancy natalie natasha nathan neil nicholas nick nicola nicolas nicole nigel nikolai nina \
    nora norbert norman oleg olga oliver olivier oscar otto pablo pamela pascal pat patricia patrick paul paula paulo pedro peggy \
    peter petra phil philip philipp philippe phillip pierre piotr rachel rafael rainer ralf ralph ramon randy ray raymond rebecca \
    renate rené ricardo rich richard rick rob robert roberta roberto robin rod rodney roger roland rolf ron ronald rosa rosalee roy \
    ruben russ russell ruth ryan sabine sally sam samantha samuel sandra sandy sara sarah scott sean sebastian sergei sergey \
    sergio shane shannon sharon shaun sheila shelley sherri silvia simon simone sofia sonia sophie stacey stan stanley stefan stefano \
    stephan stephanie stephane stephen steve steven stuart sue susan susanne suzanne sven sylvia tamara tana tania tanya ted teresa terry \
    thomas thorsten tim timothy tina todd tom tommy toni tony tracy travis trevor troy ulrich ursula valerie vanessa vera \
    veronica victor victoria vince vincent virginia vladimir walter wanda warren wayne wendy werner wilhelm william wolfgang yolanda \
    yves yvonne zoe";

static GIVEN_NAMES: LazyLock<HashSet<&'static str>> = LazyLock::new(|| GIVEN.split_whitespace().collect());

/// Small words inside names
const PARTICLES: &[&str] = &[
    "van", "von", "de", "der", "den", "da", "di", "du", "del", "della", "la", "le", "bin", "al", "dos", "el", "zu",
    "y", "e",
];

/// Capitalised words that begin short lines and are no names
#[rustfmt::skip]
const NO_NAMES: &[&str] = &[
    "the", "this", "that", "these", "please", "thanks", "thank", "yes", "no", "not", "ok", "okay", "see",
    "what", "when", "where", "why", "how",
    "who", "which", "i", "it", "we", "you", "he", "she", "they", "my", "your", "our", "and", "but", "or", "if",
    "so", "then", "also", "re",
    "fwd", "note", "ps", "p.s", "hi", "hello", "hey", "dear", "good", "great", "sorry", "let", "in", "on",
    "at", "for", "to", "from", "with",
    "all", "any", "some", "here", "there", "now", "today", "tomorrow", "monday", "tuesday", "wednesday",
    "thursday", "friday", "saturday",
    "sunday", "january", "february", "march", "april", "june", "july", "august", "september", "october",
    "november", "december",
    "is", "are", "was", "will", "can", "do", "does", "did", "have", "has", "a", "an", "end", "as", "by", "ja",
    "nein", "danke", "bitte", "merci",
    "oui", "non", "sí", "gracias", "grazie", "wow", "cool", "agreed", "done", "unsubscribe", "subscribe",
    "attached", "attachment",
];

/// One to four capitalised words without figures, such as people sign with. CJK names are two to
/// four characters.
pub(super) fn is_name(line: &str) -> bool {
    let line = bare(line);
    if line.is_empty() || line.len() > 60 || line.ends_with(['?', '!', ':', ';']) {
        return false;
    }
    if line.chars().all(|c| is_cjk(c) || c == ' ' || c == '·') {
        return (2..=5).contains(&line.chars().filter(|&c| is_cjk(c)).count());
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let Some(first) = words.first() else {
        return false;
    };
    let first = first.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    words.len() <= 5 && !NO_NAMES.contains(&first.as_str()) && words.iter().all(|word| is_name_word(word)) && {
        let capitals = words.iter().filter(|w| w.chars().any(char::is_uppercase)).count();
        (1..=4).contains(&capitals)
    }
}

/// A name that begins with a well-known given name
pub(super) fn is_known_name(line: &str) -> bool {
    let line = bare(line);
    let first =
        line.split_whitespace().next().unwrap_or("").trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let short = line.split_whitespace().count() <= 3;
    short && is_name(line) && GIVEN_NAMES.contains(first.split('-').next().unwrap_or(""))
}

/// Without the marks people put around their names: `-Bob`, `//Jef`, `~s`, `*Bob*`
pub(super) fn bare(line: &str) -> &str {
    trim(line)
        .trim_start_matches(['-', '–', '—', '~', '/', '*', '_', ' ', '|', '='])
        .trim_end_matches(['*', '_', ',', ' ', '|', '.', '-'])
}

fn is_name_word(word: &str) -> bool {
    let bare = word.trim_matches(|c: char| matches!(c, '.' | ',' | '(' | ')' | '"' | '\'' | '“' | '”' | '*'));
    if PARTICLES.contains(&bare.to_lowercase().as_str()) || bare == "&" {
        return true;
    }
    let mut chars = bare.chars();
    chars.next().is_some_and(char::is_uppercase)
        && bare.chars().all(|c| c.is_alphabetic() || matches!(c, '.' | '\'' | '’' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn names() {
        for line in [
            "Bob", "Vince J. Kaminski", "-Abhishek Kona", "//Jef", "O'Brien, Patrick", "张三", "山田 太郎",
            "Łukasz Jan Niemier", "Ludwig van Beethoven",
        ] {
            assert!(is_name(line), "{line}");
        }
        for line in ["", "see you", "Thanks", "Where to?", "Bob went home", "Room 12", "The End", "请查收附件内容谢谢", "-\u{3000}-"] {
            assert!(!is_name(line), "{line}");
        }
        assert!(is_known_name("Vince") && is_known_name("- Kim Ward") && !is_known_name("London"));
    }
}
