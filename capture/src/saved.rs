//! The text in what RedisJSON saves of a document: one string, as an RDB file has it, perhaps compressed. It must not
//! know why it is not asked for by a command.

/// What an RDB file says of the next part: a string.
const STRING: usize = 5;
/// What stands in the two highest bits of the first byte of a length.
const LENGTH_BITS: u32 = 6;
/// The first byte where four bytes, or eight, are the length.
const LENGTH_32: u8 = 0x80;
const LENGTH_64: u8 = 0x81;
/// The first byte of a compressed string; its two lengths follow.
const COMPRESSED: u8 = 0xC3;
/// A run of so many bytes at most is copied as it is; above begins what repeats earlier bytes.
const LITERALS_MAX: usize = 32;

/// The document, an object or a list of at most so many bytes; none where anything else was saved.
pub(crate) fn document(saved: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut rest = saved;
    if length(&mut rest)? != STRING {
        return None;
    }
    let text = if rest.first() == Some(&COMPRESSED) {
        take(&mut rest, 1)?;
        let (packed, len) = (length(&mut rest)?, length(&mut rest)?);
        if len > bytes_max {
            return None;
        }
        unpack(take(&mut rest, packed)?, len)?
    } else {
        let len = length(&mut rest)?;
        take(&mut rest, len)?.to_vec()
    };
    let is_document = matches!((text.first(), text.last()), (Some(b'{'), Some(b'}')) | (Some(b'['), Some(b']')));
    (rest.is_empty() && is_document && text.len() <= bytes_max && std::str::from_utf8(&text).is_ok()).then_some(text)
}

/// The next bytes.
fn take<'s>(rest: &mut &'s [u8], count: usize) -> Option<&'s [u8]> {
    let (taken, behind) = rest.split_at_checked(count)?;
    *rest = behind;
    Some(taken)
}

/// A length, in one byte, two, five or nine.
fn length(rest: &mut &[u8]) -> Option<usize> {
    let number =
        |bytes: &[u8]| bytes.iter().try_fold(0_usize, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()));
    let first = *take(rest, 1)?.first()?;
    match (first >> LENGTH_BITS, first) {
        (0, _) => Some(first.into()),
        (1, _) => number(&[first & 0x3F, *take(rest, 1)?.first()?]),
        (_, LENGTH_32) => number(take(rest, 4)?),
        (_, LENGTH_64) => number(take(rest, 8)?),
        _ => None,
    }
}

/// What LZF made of `len` bytes.
fn unpack(packed: &[u8], len: usize) -> Option<Vec<u8>> {
    let mut rest = packed;
    let mut text: Vec<u8> = Vec::with_capacity(len);
    while !rest.is_empty() {
        let control = usize::from(*take(&mut rest, 1)?.first()?);
        if control < LITERALS_MAX {
            text.extend_from_slice(take(&mut rest, control + 1)?);
            continue;
        }
        let mut count = control / LITERALS_MAX;
        if count == 7 {
            count += usize::from(*take(&mut rest, 1)?.first()?);
        }
        let back = control % LITERALS_MAX * 256 + usize::from(*take(&mut rest, 1)?.first()?) + 1;
        let from = text.len().checked_sub(back)?;
        if text.len() + count + 2 > len {
            return None;
        }
        // What is copied may begin in what it gives.
        for at in from..from + count + 2 {
            text.push(*text.get(at)?);
        }
    }
    (text.len() == len).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000;

    #[test]
    fn one_string_is_a_document_whichever_way_its_length_is_written() {
        let text = br#"{"a":1}"#;
        for length in [&[7_u8][..], &[0x40, 7], &[0x80, 0, 0, 0, 7], &[0x81, 0, 0, 0, 0, 0, 0, 0, 7]] {
            let saved = [&[5], length, text].concat();
            assert_eq!(document(&saved, MAX).as_deref(), Some(&text[..]));
            assert_eq!(document(&saved, 6), None, "too long");
            for end in 0..saved.len() {
                assert_eq!(document(&saved[..end], MAX), None, "cut");
            }
            assert_eq!(document(&[&saved[..], &[5]].concat(), MAX), None, "more follows");
        }
    }

    #[test]
    fn repeats_are_written_out() {
        // Four letters as they are, ten that repeat the last two, two more.
        let packed = [3, b'[', b'"', b'a', b'b', 0xE0, 1, 1, 1, b'"', b']'];
        let saved = [&[5, 0xC3, 11, 16][..], &packed].concat();
        assert_eq!(document(&saved, MAX).as_deref(), Some(&br#"["abababababab"]"#[..]));
        assert_eq!(document(&saved, 15), None, "too long");
    }

    #[test]
    fn what_is_no_document_is_none() {
        for saved in [
            &[5, 2, b'4', b'2'][..],
            &[2, 2, b'{', b'}'],
            &[5, 0xC0, 7],
            &[5, 2, b'[', b'}'],
            &[5, 4, b'[', 0xFF, 0xFE, b']'],
        ] {
            assert_eq!(document(saved, MAX), None, "{saved:?}");
        }
        // Going back before the beginning, and beyond the end.
        for packed in [&[0x20, 5][..], &[0, b'[', 0xE0, 200, 0], &[5, b'[']] {
            let saved = [&[5, 0xC3, u8::try_from(packed.len()).unwrap(), 9], packed].concat();
            assert_eq!(document(&saved, MAX), None, "{packed:?}");
        }
    }
}
