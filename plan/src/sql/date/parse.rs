//! Time values as text: `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS.SSS+HH:MM`, `HH:MM:SS`, `now`, numbers. A moment is written
//! where it stays: to move one takes longer than to read it.

use super::{Moment, days_of_month};
use crate::sql::number;

/// A number of exactly `digits` digits within bounds, and what follows.
#[inline]
pub(super) fn digits(text: &[u8], digits: usize, least: i32, most: i32) -> Option<(i32, &[u8])> {
    let (number, rest) = text.split_at_checked(digits)?;
    if !number.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = number.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    (least..=most).contains(&value).then_some((value, rest))
}

fn skip(text: &[u8], skipped: impl Fn(u8) -> bool) -> &[u8] {
    let count = text.iter().take_while(|byte| skipped(**byte)).count();
    text.get(count..).unwrap_or_default()
}

/// Reads a time value into a moment of which nothing is set; `None` where it is none.
pub(super) fn time_value(moment: &mut Moment, now_us: i64, text: &str) -> Option<()> {
    let bytes = text.as_bytes();
    if date_and_time(moment, bytes).is_some() {
        return Some(());
    }
    *moment = Moment::default();
    if time_of_day(moment, bytes).is_some() {
        return Some(());
    }
    if text.eq_ignore_ascii_case("now") {
        *moment = Moment::of_unix_us(now_us);
        return Some(());
    }
    let read = number::parse_real(bytes);
    if read.prefix && read.whole {
        *moment = Moment::from_number(read.value);
        return Some(());
    }
    let subsecond = text.eq_ignore_ascii_case("subsec") || text.eq_ignore_ascii_case("subsecond");
    *moment = Moment { subsecond: true, ..Moment::of_unix_us(now_us) };
    subsecond.then_some(())
}

/// `YYYY-MM-DD`, with or without a time behind it.
fn date_and_time(moment: &mut Moment, text: &[u8]) -> Option<()> {
    let (negative, text) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let (mut year, rest) = digits(text, 4, 0, 14_712)?;
    let (mut month, rest) = digits(rest.strip_prefix(b"-")?, 2, 1, 12)?;
    let (mut day, rest) = digits(rest.strip_prefix(b"-")?, 2, 1, 31)?;
    let rest = skip(rest, |byte| number::is_space(byte) || byte == b'T');
    if !rest.is_empty() {
        time_of_day(moment, rest)?;
    }
    if moment.time_valid && moment.hour == 24 {
        moment.hour = 0;
        day += 1;
        if day > days_of_month(year, month) {
            day -= days_of_month(year, month);
            month += 1;
        }
        if month > 12 {
            month = 1;
            year += 1;
        }
    }
    moment.julian_valid = false;
    moment.date_valid = true;
    moment.year = if negative { -year } else { year };
    (moment.month, moment.day) = (month, day);
    moment.measure_overflow();
    if moment.zone != 0 {
        moment.settle_julian();
    }
    Some(())
}

/// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.SSS`, with or without a time zone behind it.
pub(super) fn time_of_day(moment: &mut Moment, text: &[u8]) -> Option<()> {
    let (hour, rest) = digits(text, 2, 0, 24)?;
    let (minute, mut rest) = digits(rest.strip_prefix(b":")?, 2, 0, 59)?;
    let mut second = 0;
    let mut fraction = 0.0;
    if let Some(after) = rest.strip_prefix(b":") {
        (second, rest) = digits(after, 2, 0, 59)?;
        if let Some((b'.', after)) = rest.split_first()
            && after.first().is_some_and(u8::is_ascii_digit)
        {
            (fraction, rest) = fraction_of(after);
        }
    }
    if hour == 24 && (minute != 0 || second != 0 || fraction != 0.0) {
        return None;
    }
    moment.time_valid = true;
    (moment.hour, moment.minute, moment.second) = (hour, minute, f64::from(second) + fraction);
    zone(moment, rest).then_some(())
}

/// The digits behind the point of the seconds. More than 999 milliseconds would round to the next second.
fn fraction_of(text: &[u8]) -> (f64, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at_checked(count).unwrap_or((text, &[]));
    let (mut value, mut scale) = (0.0, 1.0);
    for digit in digits {
        value = value * 10.0 + f64::from(*digit) - f64::from(b'0');
        scale *= 10.0;
    }
    let fraction: f64 = value / scale;
    // So many digits that both overflow are no fraction; SQLite keeps what its comparison leaves.
    (if fraction > 0.999 { 0.999 } else { fraction }, rest)
}

/// Nothing, `Z`, or `+HH:MM`. False where something else follows.
fn zone(moment: &mut Moment, text: &[u8]) -> bool {
    let text = skip(text, number::is_space);
    let (sign, rest) = match text.split_first() {
        None => return true,
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        Some((b'Z' | b'z', rest)) => {
            moment.utc = true;
            return skip(rest, number::is_space).is_empty();
        }
        Some(_) => return false,
    };
    let Some((hours, rest)) = digits(rest, 2, 0, 14) else { return false };
    let Some((minutes, rest)) = rest.strip_prefix(b":").and_then(|rest| digits(rest, 2, 0, 59)) else { return false };
    moment.zone = sign * (minutes + hours * 60);
    moment.utc |= moment.zone == 0;
    skip(rest, number::is_space).is_empty()
}
