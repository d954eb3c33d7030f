//! Rules from their file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use toml::Spanned;

use super::{Action, Deed, Filing, Rule, Rules, Unsure};
use crate::delivery::exec::{Exec, Limits, Words};
use crate::delivery::folder::{Folder, Layout};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    labels: Option<OneOrMore>,
    classifier: Option<PathBuf>,
    threshold: Option<Spanned<f32>>,
    action: Option<Action>,
    keep_unread: Option<bool>,
    on_unsure: Option<Spanned<toml::Value>>,
    layout: Option<WrittenLayout>,
    #[serde(default)]
    rule: Vec<Spanned<WrittenRule>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

#[derive(Deserialize)]
enum WrittenLayout {
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "maildir++")]
    MaildirPlus,
    #[serde(rename = "plain")]
    Plain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenRule {
    label: String,
    set: Option<String>,
    folder: Option<String>,
    exec: Option<WrittenCommand>,
    timeout: Option<f64>,
    retries: Option<u32>,
    threshold: Option<f32>,
    action: Option<Action>,
    keep_unread: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenCommand {
    Shell(String),
    Program(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct WrittenUnsure {
    folder: Option<String>,
    action: Option<Action>,
    keep_unread: Option<bool>,
    #[serde(default)]
    errors: bool,
}

/// What holds for all rules that do not say otherwise.
struct Defaults {
    action: Action,
    keep_unread: bool,
    limits: Limits,
}

impl Rules {
    /// Reads a file of rules. `limits` are those of commands.
    ///
    /// # Errors
    /// When it cannot be read, has an unknown key or value, a rule twice, or one that says nothing; the message names file
    /// and line.
    pub fn read(path: &Path, limits: Limits) -> Result<Self> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path).with_context(|| format!("cannot read the rules {shown}"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut rules = Self::parse(&text, limits).with_context(|| shown.clone())?;
        rules.labels = rules.labels.iter().map(|file| folder.join(file)).collect();
        rules.classifier = rules.classifier.map(|file| folder.join(file));
        rules.file = shown;
        Ok(rules)
    }

    /// The same of a text, with paths as they stand there.
    ///
    /// # Errors
    /// As [`Rules::read`].
    pub(super) fn parse(text: &str, limits: Limits) -> Result<Self> {
        let written: Written = toml::from_str(text)?;
        let line = |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count();
        let defaults = Defaults {
            action: written.action.unwrap_or(Action::Move),
            keep_unread: written.keep_unread.unwrap_or(true),
            limits,
        };
        let mut rules: Vec<Rule> = Vec::new();
        for rule in written.rule {
            let line = line(rule.span().start);
            let rule = rule.into_inner().checked(line, &defaults).with_context(|| format!("line {line}"))?;
            let twin = rules.iter().find(|before| (&before.label, &before.set) == (&rule.label, &rule.set));
            if let Some(twin) = twin {
                bail!("line {line}: there is a rule for {:?} on line {} already", rule.label, twin.line);
            }
            rules.push(rule);
        }
        let threshold = written.threshold.map(|threshold| {
            check_threshold(Some(*threshold.get_ref()))
                .with_context(|| format!("line {}", line(threshold.span().start)))?;
            anyhow::Ok(threshold.into_inner())
        });
        let unsure = written.on_unsure.map(|unsure| {
            let line = line(unsure.span().start);
            unsure_of(unsure.into_inner(), &defaults).with_context(|| format!("line {line}: on-unsure"))
        });
        Ok(Self {
            file: String::new(),
            labels: written.labels.map_or_else(Vec::new, OneOrMore::all),
            classifier: written.classifier,
            threshold: threshold.transpose()?,
            layout: written.layout.and_then(WrittenLayout::layout),
            rules,
            unsure: unsure.transpose()?.flatten(),
        })
    }
}

impl OneOrMore {
    fn all(self) -> Vec<PathBuf> {
        match self {
            Self::One(path) => vec![path],
            Self::More(paths) => paths,
        }
    }
}

impl WrittenLayout {
    fn layout(self) -> Option<Layout> {
        match self {
            Self::Auto => None,
            Self::MaildirPlus => Some(Layout::MaildirPlus),
            Self::Plain => Some(Layout::Plain),
        }
    }
}

impl WrittenRule {
    fn checked(self, line: usize, defaults: &Defaults) -> Result<Rule> {
        check_threshold(self.threshold)?;
        ensure!(
            self.exec.is_some() || (self.timeout, self.retries) == (None, None),
            "`timeout` and `retries` are of a command, and there is no `exec`"
        );
        let exec = self.exec.map(|words| {
            let retries = self.retries.unwrap_or(defaults.limits.retries);
            let timeout = self.timeout.map_or(Ok(defaults.limits.timeout), seconds)?;
            let words = match words {
                WrittenCommand::Shell(line) => Words::Shell(line),
                WrittenCommand::Program(words) => Words::Program(words),
            };
            Exec::new(words, Limits { timeout, retries, ..defaults.limits })
        });
        let exec = exec.transpose()?;
        // A mail that a command gets stays, unless the rule says what is done with it, or all rules do.
        let needs_folder = !matches!(defaults.action, Action::Tag | Action::Header);
        let is_said = self.folder.is_some() || (exec.is_none() && !needs_folder);
        let action = self.action.or(is_said.then_some(defaults.action));
        let keep_unread = self.keep_unread.unwrap_or(defaults.keep_unread);
        let filing = action.map(|action| filing(action, self.folder.as_deref(), keep_unread)).transpose()?;
        Ok(Rule { line, label: self.label, set: self.set, threshold: self.threshold, deed: Deed { exec, filing } })
    }
}

fn filing(action: Action, folder: Option<&str>, keep_unread: bool) -> Result<Filing> {
    let folder = match (action, folder) {
        (Action::Tag, Some(_)) => bail!("mail that gets a tag stays, so there can be no `folder`"),
        (Action::Tag | Action::Header, None) => None,
        (_, Some(name)) => Some(Folder::parse(name)?),
        (_, None) => bail!("it says neither `folder` nor `exec`"),
    };
    Ok(Filing { action, folder, keep_unread })
}

fn unsure_of(value: toml::Value, defaults: &Defaults) -> Result<Option<Unsure>> {
    if value.as_str() == Some("leave") {
        return Ok(None);
    }
    ensure!(value.is_table(), "it is either \"leave\" or {{ folder = \"...\" }}");
    let WrittenUnsure { folder, action, keep_unread, errors } = value.try_into()?;
    let action = action.unwrap_or(if defaults.action == Action::Tag { Action::Move } else { defaults.action });
    ensure!(action != Action::Tag, "a mail without a label gets no tag");
    let filing = filing(action, folder.as_deref(), keep_unread.unwrap_or(defaults.keep_unread))?;
    Ok(Some(Unsure { deed: Deed { exec: None, filing: Some(filing) }, errors }))
}

fn check_threshold(threshold: Option<f32>) -> Result<()> {
    let is_score = threshold.is_none_or(|threshold| (0.0..=1.0).contains(&threshold));
    ensure!(is_score, "the threshold {} is not a score from 0 to 1", threshold.unwrap_or_default());
    Ok(())
}

fn seconds(seconds: f64) -> Result<Duration> {
    ensure!((0.001..=86_400.0).contains(&seconds), "the timeout {seconds} is not a number of seconds up to 86400");
    Ok(Duration::from_secs_f64(seconds))
}
