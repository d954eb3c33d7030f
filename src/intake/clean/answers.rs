//! Notes that announce answers inside the history: "see my comments in red below"

use std::sync::LazyLock;

use super::lexicon::{lower, prose::ANSWERS_INSIDE};
use super::lines::{self, is_blank, trim};
use super::phrases::Phrases;

static ANNOUNCEMENTS: LazyLock<Phrases> = LazyLock::new(|| Phrases::new(ANSWERS_INSIDE.iter().copied()));

/// Lines of a note that are read, from its start
const MOST_LINES: usize = 40;

/// True if a note above history says that the answers stand inside it
pub(super) fn are_announced<'a>(note: impl Iterator<Item = &'a str>) -> bool {
    let lines = note.filter(|line| !is_blank(line) && line.len() <= lines::LONGEST).take(MOST_LINES);
    // A sentence may go on in the next line, but not behind one that ends it.
    let mut text = String::new();
    for line in lines {
        text.push_str(trim(line));
        text.push(' ');
    }
    ANNOUNCEMENTS.are_in(&lower(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[rustfmt::skip]
    fn notes_that_announce_answers() {
        let announced = |text: &str| are_announced(text.lines());
        for text in [
            "Please find my answers inline.", "See inline.", "Hi Bob,\n\nmy comments are in\nred below.", "Answers in CAPS.",
            "I have answered your questions below in green.", "Answers below.", "Please see my responses in line below.",
            "My remarks are between the lines.", "Replies interspersed below.", "See my notes in purple.",
            "I wrote my answers into your mail.", "Please see my comments below.", "I've added my thoughts in bold.",
            "Antworten siehe unten in Blau.", "Meine Kommentare stehen im Text.", "Ich habe unten in Rot geantwortet.",
            "Antworten inline.", "Mes réponses dans le texte, en rouge.", "Mis respuestas en azul, más abajo.",
            "Le mie risposte sono in rosso.", "As minhas respostas seguem a vermelho.", "Mijn antwoorden staan in het rood.",
            "我的答复见下面红字。", "请见下方蓝色字体的回复。", "回答は赤字で記入しました。", "답변은 아래 파란색으로 적었습니다.",
            "Мои ответы ниже красным.", "Moje odpowiedzi na czerwono poniżej.", "Mina svar finns i rött nedan.",
        ] {
            assert!(announced(text), "{text}");
        }
        for text in [
            "Thanks, that helps a lot. We will order on Monday.", "", "The red car is parked below the bridge.",
            "Thanks for your answer. I will buy the blue one.", "Your comments helped us a lot.", "I have no answer yet.",
            "Danke für die Antwort. Das rote Auto steht unten.", "Merci pour votre réponse.", "谢谢您的答复，我们星期一下单。",
            "Bitte um Antwort bis Freitag.", "The mail is written in German. It took an hour to reply.",
        ] {
            assert!(!announced(text), "{text}");
        }
    }
}
