//! Reads the rules file (TOML).

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use toml::Spanned;

use super::{Action, Filing, OnUnsure, Rule, Rules, Steps};
use crate::charset;
use crate::condition::HeaderCondition;
use crate::delivery::exec::{CommandLine, Exec, RetryPolicy};
use crate::delivery::folder::FolderName;
use crate::delivery::spelling::TreeLayout;
use crate::platform;
use crate::record::is_same_label;

/// Most bytes of a rules file.
const MAX_FILE: u64 = 16 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RulesFile {
    labels: Option<OneOrMore>,
    classifier: Option<PathBuf>,
    threshold: Option<Spanned<f32>>,
    action: Option<Action>,
    keep_unread: Option<bool>,
    on_unsure: Option<Spanned<toml::Value>>,
    layout: Option<LayoutName>,
    #[serde(default)]
    rule: Vec<Spanned<RuleTable>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

#[derive(Deserialize)]
enum LayoutName {
    #[serde(rename = "auto")]
    Auto,
    #[serde(rename = "maildir++")]
    MaildirPlus,
    #[serde(rename = "plain")]
    Plain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct RuleTable {
    label: String,
    set: Option<String>,
    folder: Option<String>,
    exec: Option<ExecValue>,
    timeout: Option<f64>,
    retries: Option<u32>,
    threshold: Option<f32>,
    action: Option<Action>,
    keep_unread: Option<bool>,
    when: Option<toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ExecValue {
    Shell(String),
    Program(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct UnsureTable {
    folder: Option<String>,
    action: Option<Action>,
    keep_unread: Option<bool>,
    #[serde(default)]
    errors: bool,
}

/// Values of rules that do not set their own.
struct Defaults {
    action: Action,
    keep_unread: bool,
    retry: RetryPolicy,
}

impl Rules {
    /// Reads a rules file. `retry` is the default retry policy of commands.
    ///
    /// # Errors
    /// When the file cannot be read, or holds an unknown key or value, a rule twice, or an empty rule; the message
    /// names file and line.
    pub fn read(path: &Path, retry: RetryPolicy) -> Result<Self> {
        let shown = path.display().to_string();
        let bytes =
            platform::read_file_or_pipe(path, MAX_FILE).with_context(|| format!("cannot read the rules {shown}"))?;
        let text =
            charset::decode_file(&bytes, None)
                .ok()
                .filter(|text| !text.contains(char::REPLACEMENT_CHARACTER))
                .with_context(|| format!("{shown} is not in UTF-8, and its charset is in doubt; save it as UTF-8"))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut rules = Self::parse(&text, retry).with_context(|| shown.clone())?;
        rules.labels = rules.labels.iter().map(|file| folder.join(file)).collect();
        rules.classifier = rules.classifier.map(|file| folder.join(file));
        rules.file = shown;
        Ok(rules)
    }

    /// The same from a text; paths stay as they are written.
    pub(super) fn parse(text: &str, retry: RetryPolicy) -> Result<Self> {
        let written: RulesFile = toml::from_str(text)?;
        let line = |at: usize| 1 + text.as_bytes()[..at.min(text.len())].iter().filter(|&&byte| byte == b'\n').count();
        let defaults = Defaults {
            action: written.action.unwrap_or(Action::Move),
            keep_unread: written.keep_unread.unwrap_or(true),
            retry,
        };
        let mut rules: Vec<Rule> = Vec::new();
        for rule in written.rule {
            let line = line(rule.span().start);
            let rule = rule.into_inner().checked(line, &defaults).with_context(|| format!("line {line}"))?;
            let twin = rules.iter().find(|before| {
                is_same_label(&before.label, &rule.label) && (&before.set, &before.when) == (&rule.set, &rule.when)
            });
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
            layout: written.layout.and_then(LayoutName::layout),
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

impl LayoutName {
    fn layout(self) -> Option<TreeLayout> {
        match self {
            Self::Auto => None,
            Self::MaildirPlus => Some(TreeLayout::MaildirPlus),
            Self::Plain => Some(TreeLayout::Plain),
        }
    }
}

impl RuleTable {
    fn checked(self, line: usize, defaults: &Defaults) -> Result<Rule> {
        check_threshold(self.threshold)?;
        ensure!(
            self.exec.is_some() || (self.timeout, self.retries) == (None, None),
            "`timeout` and `retries` apply to a command, and there is no `exec`"
        );
        let exec = self.exec.map(|words| {
            let retries = self.retries.unwrap_or(defaults.retry.retries);
            let timeout = self.timeout.map_or(Ok(defaults.retry.timeout), seconds)?;
            let words = match words {
                ExecValue::Shell(line) => CommandLine::Shell(line),
                ExecValue::Program(words) => CommandLine::Program(words),
            };
            Exec::new(words, RetryPolicy { timeout, retries, ..defaults.retry })
        });
        let exec = exec.transpose()?;
        // A message given to a command stays where it is unless the rule says how to file it, or the defaults do.
        let needs_folder = !matches!(defaults.action, Action::Tag | Action::Header);
        let is_filed = self.folder.is_some() || (exec.is_none() && !needs_folder);
        let action = self.action.or(is_filed.then_some(defaults.action));
        let keep_unread = self.keep_unread.unwrap_or(defaults.keep_unread);
        let filing = action.map(|action| filing(action, self.folder.as_deref(), keep_unread)).transpose()?;
        let when =
            self.when.map(HeaderCondition::new).transpose().with_context(|| format!("{:?}: when", self.label))?;
        let steps = Steps { exec, filing };
        Ok(Rule { line, label: self.label, set: self.set, threshold: self.threshold, when, steps })
    }
}

fn filing(action: Action, folder: Option<&str>, keep_unread: bool) -> Result<Filing> {
    let folder = match (action, folder) {
        (Action::Tag, Some(_)) => bail!("tagged mail stays, so there can be no `folder`"),
        (Action::Tag | Action::Header, None) => None,
        (_, Some(name)) => Some(FolderName::parse(name)?),
        (_, None) => bail!("it has neither `folder` nor `exec`"),
    };
    Ok(Filing { action, folder, keep_unread })
}

fn unsure_of(value: toml::Value, defaults: &Defaults) -> Result<Option<OnUnsure>> {
    if value.as_str() == Some("leave") {
        return Ok(None);
    }
    ensure!(value.is_table(), "it is either \"leave\" or {{ folder = \"...\" }}");
    let UnsureTable { folder, action, keep_unread, errors } = value.try_into()?;
    let action = action.unwrap_or(if defaults.action == Action::Tag { Action::Move } else { defaults.action });
    ensure!(action != Action::Tag, "a mail without a label gets no tag");
    let filing = filing(action, folder.as_deref(), keep_unread.unwrap_or(defaults.keep_unread))?;
    Ok(Some(OnUnsure { steps: Steps { exec: None, filing: Some(filing) }, errors }))
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
