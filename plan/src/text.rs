//! What both languages do with texts.

/// The text with every `old` in it replaced, from left to right; `None` where there is none.
pub(crate) fn replaced(text: &str, old: &str, new: &str) -> Option<String> {
    let mut out = String::new();
    replace_into(&mut out, text, old, new).then_some(out)
}

/// The same, appended to another text; false, and nothing appended, where there is none.
pub(crate) fn replace_into(out: &mut String, text: &str, old: &str, new: &str) -> bool {
    match old.as_bytes() {
        // The commonest `old` is one character, which is found at once.
        [byte] => put(out, text, memchr::memchr_iter(*byte, text.as_bytes()), (1, new)),
        _ => put(out, text, text.match_indices(old).map(|(at, _)| at), (old.len(), new)),
    }
}

/// The text with other bytes in some places, which are in order.
fn put(out: &mut String, text: &str, mut places: impl Iterator<Item = usize>, (bytes, new): (usize, &str)) -> bool {
    let Some(first) = places.next() else { return false };
    out.reserve(text.len());
    let mut end = 0;
    for place in std::iter::once(first).chain(places) {
        out.push_str(text.get(end..place).unwrap_or_default());
        out.push_str(new);
        end = place + bytes;
    }
    out.push_str(text.get(end..).unwrap_or_default());
    true
}

#[cfg(test)]
mod tests {
    use super::replaced;

    proptest::proptest! {
        #[test]
        fn it_is_what_the_standard_library_gives(text in "[abä]{0,12}", old in "[abä]{1,2}", new in "[abä]{0,3}") {
            let expected = text.contains(&old).then(|| text.replace(&old, &new));
            proptest::prop_assert_eq!(replaced(&text, &old, &new), expected);
        }
    }
}
