//! Kinds of elements.

use html5ever::tokenizer::states::{RawKind, Rawtext, Rcdata, ScriptData};
use html5ever::{LocalName, local_name};

/// Elements whose contents are not read.
pub(super) fn is_unread(name: &LocalName) -> bool {
    *name != local_name!("style") && raw_kind(name).is_some() || is_unread_markup(name)
}

/// Unread elements whose contents are markup.
fn is_unread_markup(name: &LocalName) -> bool {
    is_foreign(name) || matches!(*name, local_name!("object") | local_name!("template")) || &**name == "xml"
}

/// Foreign elements. No element in them has raw text.
pub(super) fn is_foreign(name: &LocalName) -> bool {
    matches!(*name, local_name!("svg") | local_name!("math"))
}

/// The tokenizer state for elements that contain raw text.
///
/// The standard also has `<xmp>` and `<plaintext>`; their tags are dropped like others, since nobody wants to read markup.
pub(super) fn raw_kind(name: &LocalName) -> Option<RawKind> {
    match *name {
        local_name!("script") => Some(ScriptData),
        local_name!("title") | local_name!("textarea") => Some(Rcdata),
        local_name!("style") | local_name!("iframe") | local_name!("noembed") | local_name!("noframes") => {
            Some(Rawtext)
        }
        _ => None,
    }
}

/// Elements without contents and end tag.
#[rustfmt::skip]
pub(super) fn is_void(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("area") | local_name!("base") | local_name!("br") | local_name!("col") | local_name!("embed")
            | local_name!("hr") | local_name!("img") | local_name!("input") | local_name!("link") | local_name!("meta")
            | local_name!("param") | local_name!("source") | local_name!("track") | local_name!("wbr")
            | local_name!("basefont") | local_name!("bgsound") | local_name!("frame") | local_name!("keygen")
    )
}

/// Attributes that are used.
pub(super) fn is_read(name: &LocalName) -> bool {
    matches!(
        *name,
        local_name!("class")
            | local_name!("id")
            | local_name!("style")
            | local_name!("hidden")
            | local_name!("type")
            | local_name!("cite")
            | local_name!("alt")
    )
}
