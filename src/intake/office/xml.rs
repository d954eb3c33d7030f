//! Elements of WordprocessingML by their names, whatever their prefix.

use quick_xml::events::BytesStart;

/// `w:t` → `t`.
pub(super) fn name(qualified: &str) -> &str {
    qualified.rsplit_once(':').map_or(qualified, |(_, local)| local)
}

pub(super) fn local<'e>(element: &'e BytesStart<'_>) -> &'e str {
    let qualified: &str = element;
    name(qualified.split(|c: char| c.is_ascii_whitespace()).next().unwrap_or_default())
}

/// The value of an attribute, with any prefix.
pub(super) fn value(element: &BytesStart<'_>, wanted: &str) -> Option<String> {
    let mut attributes = element.attributes().flatten();
    let found = attributes.find(|attribute| name(attribute.key.as_ref()) == wanted)?;
    Some(found.value.into_owned())
}

/// True for a property such as `<w:vanish/>`, unless it is switched off.
pub(super) fn is_on(element: &BytesStart<'_>) -> bool {
    !matches!(value(element, "val").as_deref(), Some("0" | "false" | "off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_do_not_count() {
        let element = BytesStart::from_content("w:numId w:val=\"7\" other=\"x\"", 7);
        assert_eq!(
            (local(&element), value(&element, "val").as_deref(), value(&element, "none")),
            ("numId", Some("7"), None)
        );
        assert!(is_on(&element) && !is_on(&BytesStart::from_content("vanish w:val=\"0\"", 6)));
        assert_eq!((name("w:t"), name("t")), ("t", "t"));
    }
}
