//! Writes documents, passages and vectors, and takes them out again.
//!
//! A unit is stored with the first passage that needs it and goes with the last, together with its tokens and its vector.

use anyhow::{Context, Result};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use sha2::{Digest, Sha256};

use super::passages::{self, Passage, PassageKind};
use super::statistics::{Counted, Parts, Statistics};
use super::texts::{self, ChangedTexts};
use super::tokens;

/// Bytes of a hash that are kept. Chance makes no two texts equal; nobody gains by forging one.
const HASH: usize = 12;

/// Bytes of text after which a transaction is committed.
const TRANSACTION: usize = 8 << 20;

/// A document on its way into the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// 0-based position in its file.
    pub index: u64,
    /// `Message-ID`, or the id of a row.
    pub id: Option<String>,
    /// Decoded subject, or a title.
    pub subject: Option<String>,
    /// Decoded sender.
    pub from: Option<String>,
    /// Seconds since 1970.
    pub date: Option<i64>,
    /// The date as it is to stand in the embedded header line.
    pub date_line: Option<String>,
    /// `References` and `In-Reply-To`, oldest first.
    pub references: Vec<String>,
    /// The cleaned text, without the headers.
    pub text: String,
    /// How it is cut; see [`PassageKind`].
    pub kind: Option<PassageKind>,
    /// Of a [`PassageKind::Faq`]: bytes of the question, with which the text begins.
    pub question: usize,
    /// Of a [`PassageKind::Contract`]: its clauses in order.
    pub clauses: Vec<Passage>,
}

impl Read {
    pub(super) fn kind(&self) -> PassageKind {
        self.kind.unwrap_or(PassageKind::Document)
    }

    /// The line that is searched and embedded with each passage, and not shown.
    fn header(&self) -> String {
        let parts = [&self.subject, &self.from, &self.date_line].into_iter().flatten();
        parts.map(|part| part.trim()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }

    /// What all messages of a conversation share: the first message, else the subject without `Re:`.
    fn thread(&self) -> Option<String> {
        let first = self.references.iter().find(|id| !id.trim().is_empty());
        if let Some(id) = first.or(self.id.as_ref().filter(|_| self.kind() == PassageKind::Mail)) {
            return Some(id.trim().to_string());
        }
        let is_mail = self.kind() == PassageKind::Mail;
        self.subject.as_deref().filter(|_| is_mail).map(bare_subject).filter(|subject| !subject.is_empty())
    }

    /// Equal for documents that say the same and are cut in the same way.
    fn key(&self) -> [u8; HASH] {
        let mut hash = Sha256::new();
        let kind = self.kind() as u8;
        hash.update([kind, passages::VERSION as u8]);
        for part in [&self.header(), &self.text] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update((self.question as u64).to_le_bytes());
        for clause in &self.clauses {
            hash.update(format!("{:?}{}\0", clause.range, clause.breadcrumb));
        }
        shortened(hash)
    }
}

/// A subject without what programs put in front of an answer.
fn bare_subject(subject: &str) -> String {
    let mut rest = subject.trim();
    while let Some((prefix, after)) = rest.split_once([':', '：']) {
        let prefix = prefix.trim().to_lowercase();
        let prefix = prefix.trim_end_matches(|c: char| c.is_ascii_digit() || "[]() ".contains(c));
        if ![
            "re", "fw", "fwd", "aw", "wg", "sv", "vs", "tr", "rv", "回复", "答复", "转发", "回覆", "轉寄", "返信", "转",
        ]
        .contains(&prefix)
        {
            break;
        }
        rest = after.trim_start();
    }
    rest.to_lowercase()
}

/// Equal for passages with the same text and the same above it.
pub(super) fn hash(parts: Parts<'_>) -> [u8; HASH] {
    let mut hash = Sha256::new();
    hash.update((parts.head.len() as u64).to_le_bytes());
    hash.update((parts.question as u64).to_le_bytes());
    hash.update(parts.head);
    hash.update(parts.text);
    shortened(hash)
}

fn shortened(hash: Sha256) -> [u8; HASH] {
    hash.finalize().first_chunk().copied().unwrap_or_default()
}

/// Adds and removes documents, in transactions of bounded size. What is not committed is rolled back when it is dropped.
pub(super) struct Store<'a> {
    database: &'a Connection,
    transaction: Option<Transaction<'a>>,
    statistics: Statistics,
    texts: ChangedTexts,
    /// Bytes of text that the transaction has written.
    written: usize,
    /// Passages that the transaction has removed.
    removed: u64,
    /// Passages that were added by all transactions.
    added: u64,
    /// True once so much is removed that merging the keyword index is faster than cleaning each of its pages.
    merges: bool,
}

/// Removed units for which pages are cleaned one by one: this many, and one of so many in the index. Cleaning takes about
/// 3 ms for a unit, merging about 20 µs for each unit that there is.
const CLEANED: (u64, u64) = (100, 150);

/// The keyword index is merged when one passage of so many is new: that takes an eighth off it.
const NEW: u64 = 4;

impl<'a> Store<'a> {
    pub(super) fn begin(database: &'a Connection) -> Result<Self> {
        let transaction = Some(Transaction::new_unchecked(database, TransactionBehavior::Immediate)?);
        let statistics = statistics(database)?;
        let texts = ChangedTexts::default();
        Ok(Self { database, transaction, statistics, texts, written: 0, removed: 0, added: 0, merges: false })
    }

    /// The connection, in its transaction.
    pub(super) fn sql(&self) -> &'a Connection {
        self.database
    }

    /// True when the transaction is to be committed.
    pub(super) fn is_full(&self) -> bool {
        self.written >= TRANSACTION
    }

    /// Commits, and begins the next transaction.
    pub(super) fn renew(&mut self) -> Result<()> {
        self.write(self.merges)?;
        self.transaction = Some(Transaction::new_unchecked(self.database, TransactionBehavior::Immediate)?);
        (self.written, self.removed, self.merges) = (0, 0, false);
        Ok(())
    }

    /// Commits. What was removed is then in no page of the file.
    pub(super) fn commit(mut self) -> Result<()> {
        self.write(self.merges || (self.added > 0 && self.added >= self.statistics.units / NEW))
    }

    fn write(&mut self, merges_words: bool) -> Result<()> {
        self.texts.write(self.database)?;
        if merges_words {
            self.database.execute("INSERT INTO words (words) VALUES ('optimize')", [])?;
        }
        if self.merges {
            self.clean_pages(true)?;
        }
        if self.written > 0 {
            set_meta(self.database, COUNTS, &self.statistics.pack())?;
        }
        self.transaction.take().map_or(Ok(()), Transaction::commit).map_err(Into::into)
    }

    /// Whether removed tokens leave their pages at once, or with the next merge.
    fn clean_pages(&self, at_once: bool) -> Result<()> {
        self.database.execute("INSERT INTO words (words, rank) VALUES ('secure-delete', ?1)", [i64::from(at_once)])?;
        Ok(())
    }

    /// Adds a document of a file.
    pub(super) fn add(&mut self, file: i64, run: i64, read: &Read) -> Result<()> {
        let content = self.content(read)?;
        let sql = "INSERT INTO documents (file, ordinal, content, kind, message, subject, sender, date, thread, run)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
        self.database.prepare_cached(sql)?.execute(params![
            file,
            read.index as i64,
            content,
            read.kind() as i64,
            read.id,
            read.subject,
            read.from,
            read.date,
            read.thread(),
            run
        ])?;
        self.written += read.text.len() + 256;
        Ok(())
    }

    /// Notes that a document cannot be read.
    pub(super) fn add_failure(&mut self, file: i64, run: i64, index: u64, reason: &str) -> Result<()> {
        let sql = "INSERT INTO documents (file, ordinal, kind, error, run) VALUES (?1, ?2, 1, ?3, ?4)";
        self.database.prepare_cached(sql)?.execute(params![file, index as i64, reason, run])?;
        self.written += 256;
        Ok(())
    }

    fn content(&mut self, read: &Read) -> Result<i64> {
        let key = read.key();
        let known =
            self.database.prepare_cached("SELECT id FROM contents WHERE key = ?1")?.query_row([key], id).optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        let sql = "INSERT INTO contents (key, bytes) VALUES (?1, ?2)";
        let content = self.database.prepare_cached(sql)?.insert(params![key, read.text.len() as i64])?;
        let header = read.header();
        for (seq, passage) in passages::cut(&read.text, read.kind(), &read.clauses).into_iter().enumerate() {
            let text = read.text.get(passage.range.clone()).unwrap_or_default();
            let head = [header.as_str(), &passage.breadcrumb]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join("\n");
            // Blanks before the question are not part of the passage.
            let question =
                if read.kind() == PassageKind::Faq { read.question.saturating_sub(passage.range.start) } else { 0 };
            let unit = self.unit(Parts { head: &head, text, question: question.min(text.len()) })?;
            let sql = "INSERT INTO passages (content, seq, start, stop, unit) VALUES (?1, ?2, ?3, ?4, ?5)";
            let (start, stop) = (passage.range.start as i64, passage.range.end as i64);
            self.database.prepare_cached(sql)?.execute(params![content, seq as i64, start, stop, unit])?;
        }
        Ok(content)
    }

    fn unit(&mut self, parts: Parts<'_>) -> Result<i64> {
        let hash = hash(parts);
        let known =
            self.database.prepare_cached("SELECT id FROM units WHERE hash = ?1")?.query_row([hash], id).optional()?;
        if let Some(known) = known {
            return Ok(known);
        }
        let unit = self.texts.add(self.database, parts)?;
        let sql = "INSERT INTO units (hash, id) VALUES (?1, ?2)";
        self.database.prepare_cached(sql)?.execute(params![hash, unit])?;
        let counted = Counted::of(parts);
        let sql = "INSERT INTO words (rowid, tokens) VALUES (?1, ?2)";
        self.database.prepare_cached(sql)?.execute(params![unit, counted.line])?;
        self.statistics.add(&counted);
        self.added += 1;
        Ok(unit)
    }

    /// Removes the documents of a file from a position on: all, or those that the run `kept` has not added.
    pub(super) fn remove_documents(&mut self, file: i64, first: u64, kept: Option<i64>) -> Result<()> {
        let which = "file = ?1 AND ordinal >= ?2 AND run IS NOT ?3";
        let sql = format!("SELECT DISTINCT content FROM documents WHERE {which} AND content IS NOT NULL");
        let contents = ids(self.database, &sql, params![file, first as i64, kept])?;
        let sql = format!("DELETE FROM documents WHERE {which}");
        self.database.prepare_cached(&sql)?.execute(params![file, first as i64, kept])?;
        for content in contents {
            let sql = "SELECT EXISTS (SELECT 1 FROM documents WHERE content = ?1)";
            if !self.database.prepare_cached(sql)?.query_row([content], |row| row.get::<_, bool>(0))? {
                self.remove_content(content)?;
            }
        }
        Ok(())
    }

    fn remove_content(&mut self, content: i64) -> Result<()> {
        let units = ids(self.database, "SELECT DISTINCT unit FROM passages WHERE content = ?1", params![content])?;
        self.database.prepare_cached("DELETE FROM passages WHERE content = ?1")?.execute([content])?;
        self.database.prepare_cached("DELETE FROM contents WHERE id = ?1")?.execute([content])?;
        for unit in units {
            let sql = "SELECT EXISTS (SELECT 1 FROM passages WHERE unit = ?1)";
            if !self.database.prepare_cached(sql)?.query_row([unit], |row| row.get::<_, bool>(0))? {
                self.remove_unit(unit)?;
            }
        }
        Ok(())
    }

    fn remove_unit(&mut self, unit: i64) -> Result<()> {
        let text = self.texts.remove(self.database, unit)?;
        let counted = Counted::of(text.parts());
        // The index keeps no text, and so must be told which tokens to forget.
        let sql = "INSERT INTO words (words, rowid, tokens) VALUES ('delete', ?1, ?2)";
        self.database.prepare_cached(sql)?.execute(params![unit, counted.line])?;
        self.database.prepare_cached("DELETE FROM units WHERE hash = ?1")?.execute([hash(text.parts())])?;
        self.database.prepare_cached("DELETE FROM vectors WHERE unit = ?1")?.execute([unit])?;
        self.statistics.remove(&counted);
        self.written += text.text.len() + 1;
        self.removed += 1;
        if !self.merges && self.removed > CLEANED.0.max(self.statistics.units / CLEANED.1) {
            self.clean_pages(false)?;
            self.merges = true;
        }
        Ok(())
    }
}

/// Makes `words` anew from the texts, because this program cuts them into other tokens.
pub(super) fn rebuild_words(database: &mut Connection) -> Result<()> {
    let transaction = database.transaction()?;
    transaction.execute("INSERT INTO words (words) VALUES ('delete-all')", [])?;
    let mut statistics = Statistics::default();
    {
        let mut insert = transaction.prepare("INSERT INTO words (rowid, tokens) VALUES (?1, ?2)")?;
        texts::each(&transaction, &mut |text| {
            let counted = Counted::of(text.parts());
            insert.execute(params![text.unit, counted.line])?;
            statistics.add(&counted);
            Ok(())
        })?;
    }
    set_meta(&transaction, COUNTS, &statistics.pack())?;
    set_meta(&transaction, "tokens", &tokens::VERSION.to_le_bytes())?;
    transaction.commit().map_err(Into::into)
}

fn id(row: &rusqlite::Row<'_>) -> rusqlite::Result<i64> {
    row.get(0)
}

pub(super) fn ids(database: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<Vec<i64>> {
    let mut statement = database.prepare_cached(sql)?;
    let rows = statement.query_map(values, id)?;
    rows.collect::<rusqlite::Result<_>>().context("cannot read the index")
}

pub(super) fn meta(database: &Connection, name: &str) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT value FROM meta WHERE name = ?1";
    database.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional().map_err(Into::into)
}

pub(super) fn set_meta(database: &Connection, name: &str, value: &[u8]) -> Result<()> {
    let sql = "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    database.prepare_cached(sql)?.execute(params![name, value])?;
    Ok(())
}

/// The counts of all passages.
pub(super) fn statistics(database: &Connection) -> Result<Statistics> {
    meta(database, COUNTS)?.map_or_else(|| Ok(Statistics::default()), |packed| Statistics::unpack(&packed))
}

/// Their name in `meta`.
const COUNTS: &str = "counts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_of_a_thread() {
        for (subject, expected) in [
            ("Re: AW: Fwd: The Plan", "the plan"),
            ("RE[2]: plan", "plan"),
            ("回复：转发: 合同", "合同"),
            ("Plan: part 2", "plan: part 2"),
            ("Re:", ""),
        ] {
            assert_eq!(bare_subject(subject), expected, "{subject}");
        }
    }

    #[test]
    fn threads() {
        let mail = |id: Option<&str>, references: &[&str], subject: &str| Read {
            id: id.map(Into::into),
            references: references.iter().map(|&id| id.into()).collect(),
            subject: Some(subject.into()),
            kind: Some(PassageKind::Mail),
            ..Read::default()
        };
        for (read, expected) in [
            (mail(Some("<a>"), &[], "x"), Some("<a>")),
            (mail(Some("<b>"), &["<a>", "<c>"], "x"), Some("<a>")),
            (mail(None, &[], "Re: x"), Some("x")),
            (mail(None, &[], ""), None),
            (Read { subject: Some("x".into()), ..Read::default() }, None),
        ] {
            assert_eq!(read.thread().as_deref(), expected);
        }
    }
}
