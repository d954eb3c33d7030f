//! Fields of `config.json` that many encoders have, by whatever name.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

/// A positive number, by the first of some names that is there.
///
/// # Errors
/// When there is none. The message has the first name.
pub(crate) fn number(config: &Value, names: &[&str]) -> Result<usize> {
    let value = names.iter().find_map(|name| config[*name].as_u64()).filter(|&value| value > 0 && value <= 1 << 30);
    Ok(value.with_context(|| format!("config.json: `{}` is missing or not a positive number", names[0]))? as usize)
}

/// The number that is added to a variance, by the first of some names that is there.
///
/// # Errors
/// As [`number`].
pub(crate) fn eps(config: &Value, names: &[&str]) -> Result<f64> {
    let value = names.iter().find_map(|name| config[*name].as_f64()).filter(|eps| (0.0..0.1).contains(eps));
    value.with_context(|| format!("config.json: `{}` is missing or not a small number", names[0]))
}

/// How many attention heads share a width.
///
/// # Errors
/// When they cannot share it evenly.
pub(crate) fn heads(config: &Value, names: &[&str], width: usize) -> Result<usize> {
    let heads = number(config, names)?;
    ensure!(width.is_multiple_of(heads), "a width of {width} cannot be shared by {heads} attention heads");
    Ok(heads)
}

/// Refuses what a model's code does not do: each field may be absent, null or have the one value beside it.
///
/// # Errors
/// When a field has another value. The message has both.
pub(crate) fn refuse_other(config: &Value, fields: &[(&str, Value)]) -> Result<()> {
    for (field, only) in fields {
        let said = &config[*field];
        // 1 and 1.0 are two values of JSON.
        let same = said == only || said.as_f64().is_some_and(|number| only.as_f64() == Some(number));
        if !said.is_null() && !same {
            bail!("config.json: `{field}` is {said}; mailsort runs this architecture with {only} only");
        }
    }
    Ok(())
}
