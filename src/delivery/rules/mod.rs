//! Rules: what is done with a mail by its label.

mod read;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::exec::Exec;
use super::folder::{Folder, Layout};
use crate::record::Ranking;

/// What is done with a mail's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It goes to the folder.
    Move,
    /// It stays, and the folder gets a file with the same bytes.
    Copy,
    /// It stays, and the folder gets another name of the same file.
    Link,
    /// It stays, and notmuch is told the label.
    Tag,
    /// It is written anew with headers of ours, where it is or in the folder.
    Header,
}

/// Where a mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filing {
    /// In which way.
    pub action: Action,
    /// Where to; none where it stays.
    pub folder: Option<Folder>,
    /// False where it counts as seen from then on.
    pub keep_unread: bool,
}

/// All that is done with a mail, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Deed {
    /// A command that gets the mail.
    pub exec: Option<Exec>,
    /// What is done with it if there is no such command, or it ended well.
    pub filing: Option<Filing>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// Where it stands; 0 for one that was not written.
    line: usize,
    label: String,
    /// The label set that is meant; otherwise any.
    set: Option<String>,
    threshold: Option<f32>,
    /// What is done.
    pub deed: Deed,
}

/// What is done with a mail that no label set is sure about.
#[derive(Clone, Debug, PartialEq)]
pub struct Unsure {
    /// What is done.
    pub deed: Deed,
    /// True where it is also done with mails that could not be scored.
    pub errors: bool,
}

/// The rules of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The file, as messages name it.
    file: String,
    /// Label files, if flags name none.
    pub labels: Vec<PathBuf>,
    /// A classifier, if flags name none.
    pub classifier: Option<PathBuf>,
    /// From which score on labels count, unless flags say it.
    pub threshold: Option<f32>,
    /// How the tree keeps its folders.
    pub layout: Option<Layout>,
    rules: Vec<Rule>,
    unsure: Option<Unsure>,
}

/// A label set, by name and labels.
pub type Set<'s> = (&'s str, Vec<&'s str>);

/// What rules say of a mail.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'r> {
    /// What shall be done; nothing where it stays.
    pub deed: Option<&'r Deed>,
    /// The set, counted from 0, and the label with its score, by which it was decided.
    pub by: Option<By>,
    /// True where no set is sure.
    pub unsure: bool,
}

/// The label by which something was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct By {
    /// Which set.
    pub set: usize,
    /// Its best label.
    pub label: std::sync::Arc<str>,
    /// The label's score.
    pub score: f32,
}

impl Rules {
    /// A command for each label of `sets`, without a file.
    pub fn for_all(sets: &[Set<'_>], exec: &Exec) -> Self {
        let deed = Deed { exec: Some(exec.clone()), filing: None };
        Self { rules: one_for_each(sets, &deed), ..Self::default() }
    }

    /// Headers for each mail, sure or not, without a file.
    pub fn headers_for_all(sets: &[Set<'_>]) -> Self {
        let filing = Filing { action: Action::Header, folder: None, keep_unread: true };
        let deed = Deed { exec: None, filing: Some(filing) };
        Self { rules: one_for_each(sets, &deed), unsure: Some(Unsure { deed, errors: false }), ..Self::default() }
    }

    /// True where nothing can be done with any mail.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.unsure.is_none()
    }

    /// The file, as messages name it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// True where a mail may get headers.
    pub fn write_headers(&self) -> bool {
        self.deeds().any(|(_, deed)| deed.filing.as_ref().is_some_and(|filing| filing.action == Action::Header))
    }

    /// Gives a command to all rules that have none.
    pub fn run_for_all(&mut self, exec: &Exec) {
        for rule in &mut self.rules {
            rule.deed.exec.get_or_insert_with(|| exec.clone());
        }
    }

    /// All that may be done, with the place of the rule for messages.
    pub fn deeds(&self) -> impl Iterator<Item = (String, &Deed)> {
        let rules = self.rules.iter().map(|rule| (self.place(rule.line), &rule.deed));
        rules.chain(self.unsure.iter().map(|unsure| (format!("{}: on-unsure", self.file), &unsure.deed)))
    }

    /// The labels whose mail gets a tag.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = |rule: &&Rule| rule.deed.filing.as_ref().is_some_and(|filing| filing.action == Action::Tag);
        self.rules.iter().filter(tags).map(|rule| &*rule.label)
    }

    fn place(&self, line: usize) -> String {
        if line == 0 { "--exec".into() } else { format!("{}: line {line}", self.file) }
    }

    /// Refuses rules about labels or sets that are not there.
    ///
    /// # Errors
    /// When there is one.
    pub fn check(&self, sets: &[Set<'_>]) -> Result<()> {
        for rule in &self.rules {
            self.check_rule(rule, sets).with_context(|| self.place(rule.line))?;
        }
        Ok(())
    }

    fn check_rule(&self, rule: &Rule, sets: &[Set<'_>]) -> Result<()> {
        let named: Vec<&Set<'_>> = sets.iter().filter(|(name, _)| rule.is_of(name)).collect();
        if let Some(set) = rule.set.as_ref().filter(|_| named.is_empty()) {
            let names: Vec<&str> = sets.iter().map(|(name, _)| *name).collect();
            bail!("there is no label set {set:?}; there are: {}", names.join(", "));
        }
        let is_empty = rule.deed.exec.is_none() && rule.deed.filing.is_none();
        ensure!(!is_empty, "it says neither `folder` nor `exec`");
        ensure!(
            named.iter().any(|(_, labels)| labels.contains(&&*rule.label)),
            "there is no label {:?}; there are: {}",
            rule.label,
            named.iter().flat_map(|(_, labels)| labels.iter().copied()).collect::<Vec<_>>().join(", ")
        );
        Ok(())
    }

    /// What is done with a mail of these rankings, one for each set. The first rule that fits wins.
    pub fn decide(&self, names: &[&str], rankings: &[Ranking]) -> Decision<'_> {
        let best = |set: usize| {
            let (label, score) = rankings[set].top.first()?;
            Some(By { set, label: label.clone(), score: *score })
        };
        let best: Vec<By> = (0..rankings.len().min(names.len())).filter_map(best).collect();
        let is_about = |rule: &Rule, by: &By| rule.is_of(names[by.set]) && *rule.label == *by.label;
        for rule in &self.rules {
            let is_sure = |by: &By| match rule.threshold {
                Some(threshold) => by.score >= threshold,
                None => rankings[by.set].label.is_some(),
            };
            if let Some(by) = best.iter().find(|by| is_about(rule, by) && is_sure(by)) {
                return Decision { deed: Some(&rule.deed), by: Some(by.clone()), unsure: false };
            }
        }
        // A set is sure of a label that no rule is about; where there is a rule, it was not sure enough for that.
        let ruled = |by: &By| self.rules.iter().any(|rule| is_about(rule, by));
        if let Some(by) = best.iter().find(|by| rankings[by.set].label.is_some() && !ruled(by)) {
            return Decision { deed: None, by: Some(by.clone()), unsure: false };
        }
        let deed = self.unsure.as_ref().map(|unsure| &unsure.deed);
        Decision { deed, by: best.into_iter().next(), unsure: true }
    }

    /// What is done with a mail that could not be scored.
    pub fn on_error(&self) -> Option<&Deed> {
        self.unsure.as_ref().filter(|unsure| unsure.errors).map(|unsure| &unsure.deed)
    }
}

/// A rule for each label of `sets`.
fn one_for_each(sets: &[Set<'_>], deed: &Deed) -> Vec<Rule> {
    let rule = |set: &str, label: &str| Rule {
        line: 0,
        label: label.into(),
        set: Some(set.into()),
        threshold: None,
        deed: deed.clone(),
    };
    sets.iter().flat_map(|(set, labels)| labels.iter().map(move |label| rule(set, label))).collect()
}

impl Rule {
    fn is_of(&self, set: &str) -> bool {
        self.set.as_deref().is_none_or(|own| own == set)
    }
}

impl Action {
    /// Its name, as rules and the journal write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Copy => "copy",
            Self::Link => "link",
            Self::Tag => "tag",
            Self::Header => "header",
        }
    }
}

#[cfg(test)]
mod tests;
