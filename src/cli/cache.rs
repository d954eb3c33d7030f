//! Flags of `mailsort cache`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

pub(super) const HELP: &str = "\
Examples:
  mailsort cache stats scores.cache
  mailsort cache stats scores.cache --format json | jq .bytes
  mailsort cache prune scores.cache --older-than 30d --max-size 500M
  mailsort cache clear scores.cache --model Qwen/Qwen3-Reranker-0.6B

What is in it:
  Scores and vectors that a model has computed, under salted hashes of their inputs. The file holds
  no text, subject or label. The time of last use is stored to the day. Several processes may use
  the file at once.";

/// `mailsort cache`.
#[derive(Debug, Args)]
pub struct CacheCommand {
    /// The action.
    #[command(subcommand)]
    pub action: CacheAction,
}

/// The actions on a cache.
#[derive(Debug, Subcommand)]
pub enum CacheAction {
    /// Print what is in a cache, by kind and by model
    Stats(CacheStats),
    /// Remove all entries, or those of one model
    Clear(CacheClear),
    /// Remove entries that were not used for long, or until the file is small enough
    Prune(CachePrune),
}

/// `mailsort cache stats`.
#[derive(Debug, Args)]
pub struct CacheStats {
    /// The cache
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The output format
    #[arg(short, long, value_enum, default_value = "text")]
    pub format: CacheFormat,
}

/// Output formats of `cache stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// `mailsort cache clear`.
#[derive(Debug, Args)]
pub struct CacheClear {
    /// The cache
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// Only the entries of this model, as `stats` names it; a path that was written in two ways is two names
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,

    /// Do not print what was removed
    #[arg(short, long)]
    pub quiet: bool,
}

/// `mailsort cache prune`.
#[derive(Debug, Args)]
pub struct CachePrune {
    /// The cache
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The limits.
    #[command(flatten)]
    pub limits: CacheLimits,

    /// Do not print what was removed
    #[arg(short, long)]
    pub quiet: bool,
}

/// Limits of a cache.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct CacheLimits {
    /// Remove entries that were not used for AGE: 12h, 30d or 2w
    #[arg(long, value_name = "AGE", value_parser = age, allow_negative_numbers = true)]
    pub older_than: Option<Duration>,

    /// Remove the least recently used entries until the file has at most SIZE bytes: 500M, 2G or 64Ki
    #[arg(long, value_name = "SIZE", value_parser = size, allow_negative_numbers = true)]
    pub max_size: Option<u64>,
}

/// A whole number and its unit.
fn counted(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn age(text: &str) -> Result<Duration, String> {
    let seconds = counted(text).and_then(|(count, unit)| {
        let hours = match unit {
            "h" => 1,
            "d" => 24,
            "w" => 7 * 24,
            _ => return None,
        };
        count.checked_mul(hours * 3600)
    });
    seconds.map(Duration::from_secs).ok_or("not an age: a whole number and h, d or w, as in 30d".into())
}

fn size(text: &str) -> Result<u64, String> {
    let bytes = counted(text).and_then(|(count, unit)| {
        let letter = unit.strip_suffix('B').unwrap_or(unit);
        let (letter, base) = letter.strip_suffix('i').map_or((letter, 1000_u64), |letter| (letter, 1024));
        let power = match letter {
            "" if base == 1000 => 0,
            "K" | "k" => 1,
            "M" => 2,
            "G" => 3,
            "T" => 4,
            _ => return None,
        };
        count.checked_mul(base.pow(power))
    });
    bytes.ok_or("not a size: a whole number and K, M, G or T, or Ki, Mi, Gi or Ti, as in 500M".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_hours_days_and_weeks() {
        let check = |text: &str, hours: Option<u64>| {
            assert_eq!(age(text).ok(), hours.map(|hours| Duration::from_secs(hours * 3600)), "{text}");
        };
        check("12h", Some(12));
        check("30d", Some(720));
        check("2w", Some(336));
        check("0d", Some(0));
        for bad in
            ["", "d", "30", "30 d", "-1d", "1.5d", "1m", "30days", "99999999999999999999d", "18446744073709551615w"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn sizes_are_decimal_or_binary() {
        let check = |text: &str, bytes: Option<u64>| assert_eq!(size(text).ok(), bytes, "{text}");
        check("0", Some(0));
        check("77", Some(77));
        check("77B", Some(77));
        check("500M", Some(500_000_000));
        check("500MB", Some(500_000_000));
        check("64Ki", Some(65_536));
        check("2GiB", Some(2_147_483_648));
        check("1k", Some(1000));
        for bad in ["", "M", "1.5G", "-1", "5X", "5i", "5 M", "1Mi B", "99999999T", "1é"] {
            check(bad, None);
        }
    }
}
