//! Rules: what is done with a message by its label.

mod read;

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};

use super::exec::Exec;
use super::folder::FolderName;
use super::spelling::TreeLayout;
use crate::condition::HeaderCondition;
use crate::record::{Header, Ranking, is_same_label};

/// What is done with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Move it to the folder.
    Move,
    /// Write a copy to the folder.
    Copy,
    /// Hard-link it into the folder.
    Link,
    /// Print its label as a tag for notmuch.
    Tag,
    /// Rewrite it with X-Mailsort headers, in place or in the folder.
    Header,
}

/// How a message is filed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Filing {
    /// The action.
    pub action: Action,
    /// Destination; `None` when the message stays.
    pub folder: Option<FolderName>,
    /// False to mark the message as seen.
    pub keep_unread: bool,
}

/// The steps of a rule, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Steps {
    /// A command that gets the message.
    pub exec: Option<Exec>,
    /// Filing, unless the command failed.
    pub filing: Option<Filing>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// Line in the file; 0 for a rule made from flags.
    line: usize,
    label: String,
    /// The label set; `None` for any.
    set: Option<String>,
    threshold: Option<f32>,
    /// What the headers of a message must say too.
    when: Option<HeaderCondition>,
    pub steps: Steps,
}

/// What is done with a message that no label set is sure of.
#[derive(Clone, Debug, PartialEq)]
pub struct OnUnsure {
    /// The steps.
    pub steps: Steps,
    /// True to do it with messages that could not be scored too.
    pub errors: bool,
}

/// The rules of one file, or those made from flags.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The file, for error messages.
    file: String,
    /// Label files, unless flags name some.
    pub labels: Vec<PathBuf>,
    /// A classifier, unless flags name one.
    pub classifier: Option<PathBuf>,
    /// Score from which on a label is sure, unless a flag sets it.
    pub threshold: Option<f32>,
    /// Layout of the maildir tree; `None` to detect it.
    pub layout: Option<TreeLayout>,
    rules: Vec<Rule>,
    unsure: Option<OnUnsure>,
}

/// Name of a label set, and the names of its labels.
pub type LabelNames<'s> = (&'s str, Vec<&'s str>);

/// What the rules say about a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision<'r> {
    /// The steps; `None` when the message stays as it is.
    pub steps: Option<&'r Steps>,
    /// The label that decided.
    pub top: Option<TopLabel>,
    /// True when no set is sure.
    pub unsure: bool,
}

/// The best label of one label set.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLabel {
    /// Index of the set.
    pub set: usize,
    /// The label.
    pub label: std::sync::Arc<str>,
    /// Its score.
    pub score: f32,
}

impl Rules {
    /// Rules that give messages of every label of `sets` to a command.
    pub fn for_all(sets: &[LabelNames<'_>], exec: &Exec) -> Self {
        let steps = Steps { exec: Some(exec.clone()), filing: None };
        Self { rules: one_for_each(sets, &steps), ..Self::default() }
    }

    /// Rules that write headers into every message, sure or not.
    pub fn headers_for_all(sets: &[LabelNames<'_>]) -> Self {
        let filing = Filing { action: Action::Header, folder: None, keep_unread: true };
        let steps = Steps { exec: None, filing: Some(filing) };
        Self { rules: one_for_each(sets, &steps), unsure: Some(OnUnsure { steps, errors: false }), ..Self::default() }
    }

    /// True when the rules do nothing with any message.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.unsure.is_none()
    }

    /// The file, for error messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// True when a rule writes headers.
    pub fn write_headers(&self) -> bool {
        self.steps().any(|(_, steps)| steps.filing.as_ref().is_some_and(|filing| filing.action == Action::Header))
    }

    /// Sets the command of all rules that have none.
    pub fn run_for_all(&mut self, exec: &Exec) {
        for rule in &mut self.rules {
            rule.steps.exec.get_or_insert_with(|| exec.clone());
        }
    }

    /// The headers that the rules ask for, in lower case.
    pub fn headers(&self) -> impl Iterator<Item = String> {
        let conditions = self.rules.iter().filter_map(|rule| rule.when.as_ref());
        conditions.flat_map(HeaderCondition::names).map(String::from)
    }

    /// The steps of all rules, with the position of the rule for error messages.
    pub fn steps(&self) -> impl Iterator<Item = (String, &Steps)> {
        let rules = self.rules.iter().map(|rule| (self.position(rule.line), &rule.steps));
        rules.chain(self.unsure.iter().map(|unsure| (format!("{}: on-unsure", self.file), &unsure.steps)))
    }

    /// The labels that are printed as tags.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        let tags = |rule: &&Rule| rule.steps.filing.as_ref().is_some_and(|filing| filing.action == Action::Tag);
        self.rules.iter().filter(tags).map(|rule| &*rule.label)
    }

    fn position(&self, line: usize) -> String {
        if line == 0 { "--exec".into() } else { format!("{}: line {line}", self.file) }
    }

    /// Refuses rules about labels or sets that do not exist.
    ///
    /// # Errors
    /// When there is one.
    pub fn check(&self, sets: &[LabelNames<'_>]) -> Result<()> {
        for rule in &self.rules {
            self.check_rule(rule, sets).with_context(|| self.position(rule.line))?;
        }
        Ok(())
    }

    fn check_rule(&self, rule: &Rule, sets: &[LabelNames<'_>]) -> Result<()> {
        let named: Vec<&LabelNames<'_>> = sets.iter().filter(|(name, _)| rule.is_of(name)).collect();
        if let Some(set) = rule.set.as_ref().filter(|_| named.is_empty()) {
            let names: Vec<&str> = sets.iter().map(|(name, _)| *name).collect();
            bail!("there is no label set {set:?}; there are: {}", names.join(", "));
        }
        let is_empty = rule.steps.exec.is_none() && rule.steps.filing.is_none();
        ensure!(!is_empty, "it has neither `folder` nor `exec`");
        ensure!(
            named.iter().any(|(_, labels)| labels.iter().any(|label| is_same_label(label, &rule.label))),
            "there is no label {:?}; there are: {}",
            rule.label,
            named.iter().flat_map(|(_, labels)| labels.iter().copied()).collect::<Vec<_>>().join(", ")
        );
        Ok(())
    }

    /// What is done with a message of these rankings, one per set, and headers. The first rule that matches wins.
    pub fn decide(&self, names: &[&str], rankings: &[Ranking], headers: &[Header]) -> Decision<'_> {
        let best = |set: usize| {
            let (label, score) = rankings[set].top.first()?;
            Some(TopLabel { set, label: label.clone(), score: *score })
        };
        let best: Vec<TopLabel> = (0..rankings.len().min(names.len())).filter_map(best).collect();
        let is_about =
            |rule: &Rule, top: &TopLabel| rule.is_of(names[top.set]) && is_same_label(&rule.label, &top.label);
        let holds = |rule: &&Rule| rule.when.as_ref().is_none_or(|when| when.holds(headers));
        for rule in self.rules.iter().filter(holds) {
            let is_sure = |top: &TopLabel| match rule.threshold {
                Some(threshold) => top.score >= threshold,
                None => rankings[top.set].label.is_some(),
            };
            if let Some(top) = best.iter().find(|top| is_about(rule, top) && is_sure(top)) {
                return Decision { steps: Some(&rule.steps), top: Some(top.clone()), unsure: false };
            }
        }
        // A set is sure of a label without a rule. A label with a rule fell short of the rule's own threshold.
        let has_rule = |top: &TopLabel| self.rules.iter().filter(holds).any(|rule| is_about(rule, top));
        if let Some(top) = best.iter().find(|top| rankings[top.set].label.is_some() && !has_rule(top)) {
            return Decision { steps: None, top: Some(top.clone()), unsure: false };
        }
        let steps = self.unsure.as_ref().map(|unsure| &unsure.steps);
        Decision { steps, top: best.into_iter().next(), unsure: true }
    }

    /// What is done with a message that could not be scored.
    pub fn on_error(&self) -> Option<&Steps> {
        self.unsure.as_ref().filter(|unsure| unsure.errors).map(|unsure| &unsure.steps)
    }
}

/// A rule for each label of `sets`.
fn one_for_each(sets: &[LabelNames<'_>], steps: &Steps) -> Vec<Rule> {
    let rule = |set: &str, label: &str| Rule {
        line: 0,
        label: label.into(),
        set: Some(set.into()),
        threshold: None,
        when: None,
        steps: steps.clone(),
    };
    sets.iter().flat_map(|(set, labels)| labels.iter().map(move |label| rule(set, label))).collect()
}

impl Rule {
    fn is_of(&self, set: &str) -> bool {
        self.set.as_deref().is_none_or(|own| own == set)
    }
}

impl Action {
    /// Its name in the rules and in idempotency keys.
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
