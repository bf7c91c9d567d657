//! SQLite's `printf()`, which is also how it writes a real as text (`printf.c`: `sqlite3_str_vappendf`).
//! See <https://www.sqlite.org/printf.html>. It knows values only as the arguments of `printf()`.

use super::number::{self, Decoded, Special};
use super::storage::{self, TEXT_BYTES_MAX};
use crate::{Reject, Value};

/// The precision beyond which SQLite does not go for reals.
const REAL_PRECISION_MAX: i64 = 100_000_000;

/// For how many bytes of each value `printf()` makes room at first.
const VALUE_BYTES_EXPECTED: usize = 16;

/// What stands between `%` and the letter.
#[derive(Debug, Clone, Copy, Default)]
struct Spec {
    left: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    alternate2: bool,
    zero: bool,
    thousands: bool,
    width: usize,
    precision: Option<usize>,
}

impl Spec {
    fn sign(&self) -> Option<u8> {
        // The later of `+` and ` ` wins in SQLite; a format that has both is read as `+`.
        if self.plus {
            Some(b'+')
        } else if self.space {
            Some(b' ')
        } else {
            None
        }
    }
}

/// A real as SQLite writes it as text: `%!.17g`.
pub(super) fn real(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    real_with(&mut out, value, false);
    String::from_utf8(out).unwrap_or_default()
}

/// A real so that it reads back as the same: `%!0.17g`, with infinity as a number.
pub(super) fn real_literal(value: f64) -> String {
    let mut out = Vec::with_capacity(24);
    real_with(&mut out, value, true);
    String::from_utf8(out).unwrap_or_default()
}

fn real_with(out: &mut Vec<u8>, value: f64, zero: bool) {
    let precision = usize::try_from(number::REAL_DIGITS_MAX).ok();
    let spec = Spec { alternate2: true, zero, precision, ..Spec::default() };
    float(out, &spec, b'g', value);
}

/// A real as `%06.3f`: seconds.
pub(super) fn seconds(value: f64) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    let spec = Spec { zero: true, width: 6, precision: Some(3), ..Spec::default() };
    float(&mut out, &spec, b'f', value);
    out
}

/// A real as `%.3f` or `%.16g`.
pub(super) fn plain(value: f64, letter: u8, precision: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    float(&mut out, &Spec { precision: Some(precision), ..Spec::default() }, letter, value);
    out
}

/// A text as an SQL literal: `%Q`, or `%#Q` which writes control characters by `unistr()`.
pub(super) fn quoted(text: &str, escape: bool) -> Vec<u8> {
    let spec = Spec { alternate: escape, ..Spec::default() };
    escaped(&spec, b'Q', Some(text))
}

/// The arguments of `printf()`, taken one after the other; missing ones are NULL.
struct Args<'s, 'a> {
    values: std::slice::Iter<'s, &'s Value<'a>>,
}

impl<'s, 'a> Args<'s, 'a> {
    fn integer(&mut self) -> Result<i64, Reject> {
        self.values.next().copied().map_or(Ok(0), storage::integer)
    }

    fn real(&mut self) -> Result<f64, Reject> {
        self.values.next().copied().map_or(Ok(0.0), storage::real)
    }

    fn text(&mut self) -> Result<Option<std::borrow::Cow<'s, str>>, Reject> {
        self.values.next().copied().map_or(Ok(None), storage::text)
    }

    /// The argument of a `*`: an `int` of C.
    fn int32(&mut self) -> Result<i32, Reject> {
        #[expect(clippy::cast_possible_truncation, reason = "SQLite takes the lower 32 bits")]
        let int = self.integer()? as i32;
        Ok(int)
    }
}

/// `printf(format, …)`.
///
/// # Errors
/// The text would be too long, or is cut within a character.
pub(super) fn printf(format: &str, values: &[&Value<'_>]) -> Result<String, Reject> {
    let mut args = Args { values: values.iter() };
    let mut out = Vec::with_capacity(format.len().saturating_add(VALUE_BYTES_EXPECTED * values.len()));
    let mut rest = storage::until_nul(format).as_bytes();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        let Some((_, after)) = after.split_first() else { break };
        if after.is_empty() {
            out.push(b'%');
            return storage::utf8(out);
        }
        let (spec, letter, after) = spec(after, &mut args)?;
        bounded(&out, &spec)?;
        match letter {
            Some(letter) => {
                if !conversion(&mut out, &spec, letter, &mut args)? {
                    return storage::utf8(out);
                }
            }
            None => return storage::utf8(out),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    storage::utf8(out)
}

fn bounded(out: &[u8], spec: &Spec) -> Result<(), Reject> {
    let wanted = spec.width.max(spec.precision.unwrap_or(0));
    if out.len().saturating_add(wanted) > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(()) }
}

/// Reads flags, width and precision up to the letter.
fn spec<'f>(mut text: &'f [u8], args: &mut Args<'_, '_>) -> Result<(Spec, Option<u8>, &'f [u8]), Reject> {
    let mut spec = Spec::default();
    while let Some((byte, rest)) = text.split_first() {
        match byte {
            b'-' => spec.left = true,
            b'+' => (spec.plus, spec.space) = (true, false),
            b' ' => (spec.plus, spec.space) = (false, true),
            b'#' => spec.alternate = true,
            b'!' => spec.alternate2 = true,
            b'0' => spec.zero = true,
            b',' => spec.thousands = true,
            b'l' => {
                let rest = rest.strip_prefix(b"l").unwrap_or(rest);
                return Ok((spec, rest.first().copied(), rest.get(1..).unwrap_or_default()));
            }
            b'1'..=b'9' => {
                let (width, rest) = count(text);
                spec.width = width;
                if !matches!(rest.first(), Some(b'.' | b'l')) {
                    return Ok((spec, rest.first().copied(), rest.get(1..).unwrap_or_default()));
                }
                text = rest;
                continue;
            }
            b'*' => {
                let width = args.int32()?;
                spec.left |= width < 0;
                spec.width = usize::try_from(width.checked_abs().unwrap_or(0)).unwrap_or(0);
                if !matches!(rest.first(), Some(b'.' | b'l')) {
                    return Ok((spec, rest.first().copied(), rest.get(1..).unwrap_or_default()));
                }
            }
            b'.' => {
                let rest = if let Some(rest) = rest.strip_prefix(b"*") {
                    let precision = args.int32()?;
                    spec.precision = precision.checked_abs().and_then(|precision| usize::try_from(precision).ok());
                    rest
                } else {
                    let (precision, rest) = count(rest);
                    spec.precision = Some(precision);
                    rest
                };
                if rest.first() != Some(&b'l') {
                    return Ok((spec, rest.first().copied(), rest.get(1..).unwrap_or_default()));
                }
                text = rest;
                continue;
            }
            letter => return Ok((spec, Some(*letter), rest)),
        }
        text = rest;
    }
    Ok((spec, None, text))
}

/// A count of at most 31 bits.
fn count(text: &[u8]) -> (usize, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(digits).unwrap_or((text, &[]));
    let value = digits.iter().fold(0_u32, |value, digit| value.wrapping_mul(10).wrapping_add(u32::from(digit - b'0')));
    (usize::try_from(value & 0x7fff_ffff).unwrap_or(0), rest)
}

/// Writes one conversion. False where SQLite stops reading the format: at a letter that it does not know.
fn conversion(out: &mut Vec<u8>, spec: &Spec, letter: u8, args: &mut Args<'_, '_>) -> Result<bool, Reject> {
    match letter {
        b'd' | b'i' | b'r' => {
            let value = args.integer()?;
            integer(out, spec, letter, value.unsigned_abs(), value < 0);
        }
        b'u' | b'x' | b'X' | b'o' | b'p' => integer(out, spec, letter, args.integer()?.cast_unsigned(), false),
        b'f' | b'e' | b'E' | b'g' | b'G' => float(out, spec, letter, args.real()?),
        b'%' => pad(out, spec, b"%", false),
        b'n' => {}
        b'c' => character(out, spec, args.text()?.as_deref()),
        b's' | b'z' => string(out, spec, args.text()?.as_deref().map(storage::until_nul).unwrap_or_default()),
        b'q' | b'Q' | b'w' => {
            let text = args.text()?;
            pad(out, spec, &escaped(spec, letter, text.as_deref().map(storage::until_nul)), spec.alternate2);
        }
        b'j' | b'J' => json(out, spec, letter, args.text()?.as_deref().map(storage::until_nul)),
        _ => return Ok(false),
    }
    if out.len() > TEXT_BYTES_MAX { Err(storage::too_long()) } else { Ok(true) }
}

/// Characters, not bytes, where the flag `!` asks for it.
fn width_of(bytes: &[u8], characters: bool) -> usize {
    if characters { bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count() } else { bytes.len() }
}

fn pad(out: &mut Vec<u8>, spec: &Spec, bytes: &[u8], characters: bool) {
    let spaces = spec.width.saturating_sub(width_of(bytes, characters));
    if !spec.left {
        out.resize(out.len() + spaces, b' ');
    }
    out.extend_from_slice(bytes);
    if spec.left {
        out.resize(out.len() + spaces, b' ');
    }
}

fn integer(out: &mut Vec<u8>, spec: &Spec, letter: u8, value: u64, negative: bool) {
    let signed = matches!(letter, b'd' | b'i' | b'r');
    let sign = if negative { Some(b'-') } else { spec.sign().filter(|_| signed) };
    let (mut decimal, made);
    let mut digits = match letter {
        b'x' | b'X' | b'o' | b'p' | b'r' => {
            made = other_digits(letter, value);
            made.as_bytes()
        }
        _ => {
            decimal = itoa::Buffer::new();
            decimal.format(value).as_bytes()
        }
    };
    let mut precision = spec.precision.unwrap_or(0);
    if spec.zero {
        precision = precision.max(spec.width.saturating_sub(usize::from(sign.is_some())));
    }
    let mut zeros = precision.saturating_sub(digits.len());
    let grouped;
    if spec.thousands && matches!(letter, b'd' | b'i' | b'u') {
        grouped = with_commas(zeros, digits);
        (zeros, digits) = (0, &grouped);
    }
    // SQLite writes the prefix before the sign; the letters that have one have no sign.
    let prefix: &[u8] = match letter {
        b'x' | b'p' if spec.alternate && value != 0 => b"0x",
        b'X' if spec.alternate && value != 0 => b"0X",
        b'o' if spec.alternate && value != 0 => b"0",
        _ => b"",
    };
    let length = prefix.len() + usize::from(sign.is_some()) + zeros + digits.len();
    let spaces = spec.width.saturating_sub(length);
    if !spec.left {
        out.resize(out.len() + spaces, b' ');
    }
    out.extend_from_slice(prefix);
    out.extend(sign);
    out.resize(out.len() + zeros, b'0');
    out.extend_from_slice(digits);
    if spec.left {
        out.resize(out.len() + spaces, b' ');
    }
}

/// The digits of a number that is not written as a plain decimal.
fn other_digits(letter: u8, value: u64) -> String {
    match letter {
        b'x' => format!("{value:x}"),
        b'X' | b'p' => format!("{value:X}"),
        b'o' => format!("{value:o}"),
        _ => format!("{value}{}", ordinal(value)),
    }
}

const fn ordinal(value: u64) -> &'static str {
    match (value % 10, (value / 10) % 10) {
        (_, 1) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// Zeros and digits with a comma between every three.
fn with_commas(zeros: usize, digits: &[u8]) -> Vec<u8> {
    let length = zeros + digits.len();
    let mut out = Vec::with_capacity(length + length / 3);
    for (at, digit) in std::iter::repeat_n(&b'0', zeros).chain(digits).enumerate() {
        if at > 0 && (length - at).is_multiple_of(3) {
            out.push(b',');
        }
        out.push(*digit);
    }
    out
}

/// A real by `%f`, `%e` or `%g`.
fn float(out: &mut Vec<u8>, spec: &Spec, letter: u8, value: f64) {
    let general = letter.eq_ignore_ascii_case(&b'g');
    let mut precision = i64::try_from(spec.precision.unwrap_or(6)).unwrap_or(0).min(REAL_PRECISION_MAX);
    if general && precision == 0 {
        precision = 1;
    }
    let round = match letter {
        b'f' => -precision,
        b'e' | b'E' => precision + 1,
        _ => precision,
    };
    let mut decoded = number::decode(value, round, if spec.alternate2 { 20 } else { 16 });
    match decoded.special {
        Special::Finite => {}
        Special::Nan => return pad(out, spec, if spec.zero { b"null" } else { b"NaN" }, false),
        Special::Infinite if spec.zero => decoded.make_infinity_finite(),
        Special::Infinite => {
            let sign = if decoded.negative { Some(b'-') } else { spec.sign() };
            let text: Vec<u8> = sign.into_iter().chain(*b"Inf").collect();
            return pad(out, spec, &text, false);
        }
    }
    let hides_sign = spec.alternate && spec.sign().is_none() && letter == b'f' && i64::from(decoded.point) <= round;
    let sign = if decoded.negative { Some(b'-').filter(|_| !hides_sign) } else { spec.sign() };
    let exponent = i64::from(decoded.point) - 1;
    let mut scientific = letter.eq_ignore_ascii_case(&b'e');
    let mut strip_zeros = spec.alternate2;
    if general {
        precision -= 1;
        strip_zeros = !spec.alternate;
        scientific = exponent < -4 || exponent > precision;
        if !scientific {
            precision -= exponent;
        }
    }
    let start = out.len();
    out.extend(sign);
    let digits = Layout { spec, precision: usize::try_from(precision).unwrap_or(0), strip_zeros };
    digits.write(out, &decoded, if scientific { 0 } else { exponent });
    if scientific {
        write_exponent(out, letter, exponent);
    }
    pad_number(out, start, spec, sign.is_some());
}

/// How the digits of a real are laid out.
struct Layout<'s> {
    spec: &'s Spec,
    precision: usize,
    strip_zeros: bool,
}

impl Layout<'_> {
    /// Writes the digits; the first of them stands for 10^`exponent`.
    fn write(&self, out: &mut Vec<u8>, decoded: &Decoded, exponent: i64) {
        let digits = decoded.digits();
        let before = usize::try_from(exponent + 1).unwrap_or(0);
        if before == 0 {
            out.push(b'0');
        }
        for at in 0..before {
            out.push(digits.get(at).copied().unwrap_or(b'0'));
            if self.spec.thousands && at + 1 < before && (before - at - 1).is_multiple_of(3) {
                out.push(b',');
            }
        }
        let point = self.precision > 0 || self.spec.alternate || self.spec.alternate2;
        if !point {
            return;
        }
        out.push(b'.');
        let zeros = usize::try_from(-1 - exponent).unwrap_or(0).min(self.precision);
        out.resize(out.len() + zeros, b'0');
        let rest = digits.get(before..).unwrap_or_default();
        let room = self.precision - zeros;
        out.extend(rest.iter().take(room));
        if self.strip_zeros {
            strip(out, self.spec.alternate2);
        } else {
            out.resize(out.len() + room.saturating_sub(rest.len()), b'0');
        }
    }
}

/// Takes trailing zeros away, and the point with them unless one digit must stay behind it.
fn strip(out: &mut Vec<u8>, keep_one: bool) {
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        if keep_one {
            out.push(b'0');
        } else {
            out.pop();
        }
    }
}

fn write_exponent(out: &mut Vec<u8>, letter: u8, exponent: i64) {
    out.push(if letter.is_ascii_uppercase() { b'E' } else { b'e' });
    out.push(if exponent < 0 { b'-' } else { b'+' });
    out.extend_from_slice(format!("{:02}", exponent.unsigned_abs()).as_bytes());
}

/// Pads what was written from `start` on: with zeros behind the sign, or with spaces.
fn pad_number(out: &mut Vec<u8>, start: usize, spec: &Spec, signed: bool) {
    let missing = spec.width.saturating_sub(out.len() - start);
    if missing == 0 {
        return;
    }
    if spec.left {
        out.resize(out.len() + missing, b' ');
    } else if spec.zero {
        let at = start + usize::from(signed);
        out.splice(at..at, std::iter::repeat_n(b'0', missing));
    } else {
        out.splice(start..start, std::iter::repeat_n(b' ', missing));
    }
}

/// `%c`: the first character of a text, as often as the precision says.
fn character(out: &mut Vec<u8>, spec: &Spec, text: Option<&str>) {
    let mut buffer = [0_u8; 4];
    let char = text.and_then(|text| text.chars().next()).unwrap_or('\0');
    let bytes = char.encode_utf8(&mut buffer).as_bytes();
    let copies = spec.precision.unwrap_or(1).max(1);
    let spaces = spec.width.saturating_sub(copies);
    if !spec.left {
        out.resize(out.len() + spaces, b' ');
    }
    for _ in 0..copies {
        out.extend_from_slice(bytes);
    }
    if spec.left {
        out.resize(out.len() + spaces, b' ');
    }
}

/// `%s`: a text, of which the precision takes the first bytes or, with `!`, characters.
fn string(out: &mut Vec<u8>, spec: &Spec, text: &str) {
    let bytes = text.as_bytes();
    let taken = match spec.precision {
        Some(precision) if spec.alternate2 => text.char_indices().nth(precision).map_or(bytes.len(), |(at, _)| at),
        Some(precision) => precision.min(bytes.len()),
        None => bytes.len(),
    };
    pad(out, spec, bytes.get(..taken).unwrap_or(bytes), spec.alternate2);
}

/// The text of `%q`, `%Q` and `%w`.
fn escaped(spec: &Spec, letter: u8, text: Option<&str>) -> Vec<u8> {
    let Some(text) = text else {
        return if letter == b'Q' { b"NULL".to_vec() } else { b"(NULL)".to_vec() };
    };
    let taken = taken(spec, text);
    let quote = if letter == b'w' { b'"' } else { b'\'' };
    let controls = taken.iter().any(|byte| *byte <= 0x1f);
    let backslashes = spec.alternate && letter != b'w' && (controls || letter == b'q');
    let mut out = Vec::with_capacity(taken.len() + 2);
    if letter == b'Q' {
        out.extend_from_slice(if backslashes { b"unistr('" } else { b"'" });
    }
    for byte in taken {
        match byte {
            byte if *byte == quote => out.extend([quote, quote]),
            b'\\' if backslashes => out.extend(*b"\\\\"),
            0..=0x1f if backslashes => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            byte => out.push(*byte),
        }
    }
    if letter == b'Q' {
        out.extend_from_slice(if backslashes { b"')" } else { b"'" });
    }
    out
}

/// The bytes that the precision leaves of a text.
fn taken<'t>(spec: &Spec, text: &'t str) -> &'t [u8] {
    let bytes = text.as_bytes();
    let end = match spec.precision {
        None => bytes.len(),
        Some(precision) if spec.alternate2 => text.char_indices().nth(precision).map_or(bytes.len(), |(at, _)| at),
        Some(precision) => precision.min(bytes.len()),
    };
    bytes.get(..end).unwrap_or(bytes)
}

/// `%j` and `%J`: a text as a JSON string, without and with its quotes.
fn json(out: &mut Vec<u8>, spec: &Spec, letter: u8, text: Option<&str>) {
    let quotes = letter == b'J';
    let mut bytes = Vec::new();
    match text {
        None if quotes => bytes.extend_from_slice(b"null"),
        None => {}
        Some(text) => {
            if quotes {
                bytes.push(b'"');
            }
            for byte in taken(spec, text) {
                super::json::push_escaped(&mut bytes, *byte);
            }
            if quotes {
                bytes.push(b'"');
            }
        }
    }
    pad(out, spec, &bytes, spec.alternate2);
}
