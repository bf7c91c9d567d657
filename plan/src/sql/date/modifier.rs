//! The modifiers of a time value: `+3 days`, `start of month`, `weekday 0`, `unixepoch` and so on.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "SQLite's own conversions between milliseconds, reals and small integers, all bounded by the calendar"
)]

use super::parse::{digits, time_of_day};
use super::{DAY_MS, Moment, UNIX_EPOCH_MS};
use crate::sql::number;

/// A unit of `NNN units`: its name, the largest number of it, and its seconds.
const UNITS: [(&str, f32, f32); 6] = [
    ("second", 4.6427e+14, 1.0),
    ("minute", 7.7379e+12, 60.0),
    ("hour", 1.2897e+11, 3_600.0),
    ("day", 5_373_485.0, 86_400.0),
    ("month", 176_546.0, 2_592_000.0),
    ("year", 14_713.0, 31_536_000.0),
];

/// Applies a modifier. False where it is not understood. Some take effect only as the `first`.
pub(super) fn apply(moment: &mut Moment, text: &str, first: bool) -> bool {
    match text.as_bytes().first() {
        Some(b'+' | b'-' | b'0'..=b'9') => shift(moment, text),
        None => false,
        // Modifiers are written in lower case, mostly.
        _ if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            apply_name(moment, &text.to_ascii_lowercase(), first)
        }
        _ => apply_name(moment, text, first),
    }
}

/// Applies a modifier that is a name, in lower case.
fn apply_name(moment: &mut Moment, name: &str, first: bool) -> bool {
    match name {
        "auto" => first && automatic(moment),
        "ceiling" => {
            moment.settle_julian();
            moment.forget_parts();
            moment.overflow_days = 0;
            true
        }
        "floor" => {
            moment.settle_julian();
            moment.julian_ms -= i64::from(moment.overflow_days) * DAY_MS;
            moment.forget_parts();
            true
        }
        "julianday" => {
            let takes = first && moment.julian_valid && moment.raw;
            moment.raw &= !takes;
            takes
        }
        "localtime" => {
            if !moment.local {
                to_local(moment);
            }
            (moment.utc, moment.local) = (false, true);
            true
        }
        "unixepoch" => first && unix_seconds(moment),
        "utc" => {
            to_utc(moment);
            true
        }
        "subsec" | "subsecond" => {
            moment.subsecond = true;
            true
        }
        _ => match name.split_once(' ') {
            Some(("weekday", day)) => weekday(moment, day),
            _ => bounds(moment, name),
        },
    }
}

/// `auto`: what is no Julian day is Unix seconds.
fn automatic(moment: &mut Moment) -> bool {
    if !moment.raw || moment.julian_valid {
        moment.raw = false;
    } else if (-210_866_760_000.0..=253_402_300_799.0).contains(&moment.second) {
        let ms = moment.second * 1000.0 + UNIX_EPOCH_MS as f64;
        moment.forget_parts();
        moment.julian_ms = (ms + 0.5) as i64;
        moment.julian_valid = true;
        moment.raw = false;
    }
    true
}

/// `unixepoch`: the number is Unix seconds.
fn unix_seconds(moment: &mut Moment) -> bool {
    let ms = moment.second * 1000.0 + UNIX_EPOCH_MS as f64;
    if !moment.raw || !(0.0..464_269_060_800_000.0).contains(&ms) {
        return false;
    }
    moment.forget_parts();
    moment.julian_ms = (ms + 0.5) as i64;
    moment.julian_valid = true;
    moment.raw = false;
    true
}

/// `localtime`: local time is UTC, so only the form changes.
fn to_local(moment: &mut Moment) {
    moment.settle_julian();
    let julian_ms = moment.julian_ms;
    let mut parts = *moment;
    parts.forget_parts();
    parts.settle_parts();
    let second = (julian_ms / 1000).rem_euclid(60) as f64 + (julian_ms % 1000) as f64 * 0.001;
    *moment = Moment { second, date_valid: true, time_valid: true, julian_valid: false, ..parts };
    (moment.raw, moment.zone, moment.failed) = (false, 0, false);
}

/// `utc`: a local time as UTC. SQLite forgets everything else that it knew.
fn to_utc(moment: &mut Moment) {
    if !moment.utc {
        moment.settle_julian();
        *moment = Moment { julian_ms: moment.julian_ms, julian_valid: true, utc: true, ..Moment::default() };
    }
}

/// `weekday N`: forwards to that day of the week, or backwards where a `-` stands before it.
fn weekday(moment: &mut Moment, day: &str) -> bool {
    let read = number::parse_real(day.as_bytes());
    let wanted = read.value as i64;
    let is_day =
        read.prefix && read.whole && (-6.0..=6.0).contains(&read.value) && number::real_is_integer(read.value, wanted);
    if !is_day {
        return false;
    }
    moment.settle_parts();
    moment.zone = 0;
    moment.julian_valid = false;
    moment.settle_julian();
    let today = ((moment.julian_ms + 3 * DAY_MS / 2) / DAY_MS) % 7;
    let wanted = wanted.abs();
    if today != wanted {
        let behind = if today > wanted { today - 7 } else { today };
        moment.julian_ms += (wanted - behind) * DAY_MS;
        if day.contains('-') {
            moment.julian_ms -= 7 * DAY_MS;
        }
    }
    moment.forget_parts();
    true
}

/// `start of …` and `end of …` a day, month or year.
fn bounds(moment: &mut Moment, text: &str) -> bool {
    let (start, unit) = match (text.strip_prefix("start of "), text.strip_prefix("end of ")) {
        (Some(unit), _) => (true, unit),
        (_, Some(unit)) => (false, unit),
        _ => return false,
    };
    if !moment.julian_valid && !moment.date_valid && !moment.time_valid {
        return false;
    }
    moment.settle_date();
    moment.time_valid = true;
    (moment.hour, moment.minute, moment.second) = if start { (0, 0, 0.0) } else { (23, 59, 59.999) };
    (moment.raw, moment.zone, moment.julian_valid) = (false, 0, false);
    match (unit, start) {
        ("day", _) => {}
        ("month", true) => moment.day = 1,
        ("year", true) => (moment.month, moment.day) = (1, 1),
        ("year", false) => (moment.month, moment.day) = (12, 31),
        ("month", false) => {
            moment.day = 1;
            moment.month += 1;
            if moment.month > 12 {
                moment.year += 1;
                moment.month = 1;
            }
            moment.measure_overflow();
            moment.settle_julian();
            moment.julian_ms -= i64::from(moment.overflow_days + 1) * DAY_MS;
            moment.forget_parts();
        }
        _ => return false,
    }
    true
}

/// `+YYYY-MM-DD HH:MM`, `+HH:MM:SS` or `NNN units`.
fn shift(moment: &mut Moment, text: &str) -> bool {
    let bytes = text.as_bytes();
    let at = |index: usize| bytes.get(index).copied().unwrap_or(0);
    let mut end = 1;
    while end < bytes.len() && at(end) != b':' && !number::is_space(at(end)) && !is_year(bytes, end) {
        end += 1;
    }
    let (number, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
    let read = number::parse_real(number);
    if !(read.prefix && read.whole) {
        return false;
    }
    match rest.first() {
        Some(b'-') => shift_date(moment, bytes, end),
        Some(b':') => shift_time(moment, bytes, at(0) == b'-'),
        _ => shift_units(moment, read.value, rest),
    }
}

/// Whether the `-` at `end` follows a sign and the four or five digits of a year.
fn is_year(text: &[u8], end: usize) -> bool {
    text.get(end) == Some(&b'-')
        && matches!(end, 5 | 6)
        && text.get(1..).and_then(|text| digits(text, end - 1, 0, 14_712)).is_some()
}

fn shift_date(moment: &mut Moment, text: &[u8], end: usize) -> bool {
    let backwards = match text.first() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return false,
    };
    let parsed = text.get(1..).and_then(|text| {
        let (years, rest) = digits(text, end - 1, 0, 14_712)?;
        let (months, rest) = digits(rest.strip_prefix(b"-")?, 2, 0, 11)?;
        let (days, rest) = digits(rest.strip_prefix(b"-")?, 2, 0, 30)?;
        Some((years, months, days, rest))
    });
    let Some((years, months, days, rest)) = parsed else { return false };
    let sign = if backwards { -1 } else { 1 };
    moment.settle_parts();
    moment.julian_valid = false;
    moment.year += sign * years;
    moment.month += sign * months;
    carry_months(moment);
    moment.measure_overflow();
    moment.settle_julian();
    (moment.time_valid, moment.date_valid) = (false, false);
    moment.julian_ms += i64::from(sign * days) * DAY_MS;
    match rest.split_first() {
        None => true,
        Some((space, time)) if number::is_space(*space) => {
            let has_minutes =
                digits(time, 2, 0, 24).and_then(|(_, rest)| digits(rest.strip_prefix(b":")?, 2, 0, 59)).is_some();
            has_minutes && shift_by(moment, time, backwards)
        }
        Some(_) => false,
    }
}

/// Months beyond the year become years.
fn carry_months(moment: &mut Moment) {
    let years = if moment.month > 0 { (moment.month - 1) / 12 } else { (moment.month - 12) / 12 };
    moment.year += years;
    moment.month -= years * 12;
}

fn shift_time(moment: &mut Moment, text: &[u8], backwards: bool) -> bool {
    let time = if text.first().is_some_and(u8::is_ascii_digit) { text } else { text.get(1..).unwrap_or_default() };
    shift_by(moment, time, backwards)
}

fn shift_by(moment: &mut Moment, time: &[u8], backwards: bool) -> bool {
    let Some(mut time) = time_of_day(time) else { return false };
    time.settle_julian();
    let ms = (time.julian_ms - DAY_MS / 2) % DAY_MS;
    moment.settle_julian();
    moment.forget_parts();
    moment.julian_ms += if backwards { -ms } else { ms };
    true
}

fn shift_units(moment: &mut Moment, mut count: f64, unit: &[u8]) -> bool {
    let spaces = unit.iter().take_while(|byte| number::is_space(**byte)).count();
    let unit = unit.get(spaces..).unwrap_or_default();
    if !(3..=10).contains(&unit.len()) {
        return false;
    }
    let unit = unit.strip_suffix(b"s").or_else(|| unit.strip_suffix(b"S")).unwrap_or(unit);
    moment.settle_julian();
    let rounder = if count < 0.0 { -0.5 } else { 0.5 };
    moment.overflow_days = 0;
    let known = UNITS
        .iter()
        .find(|(name, limit, _)| unit.eq_ignore_ascii_case(name.as_bytes()) && count.abs() < f64::from(*limit));
    if let Some((name, _, seconds)) = known {
        if matches!(*name, "month" | "year") {
            moment.settle_parts();
            let whole = count as i32;
            if *name == "month" {
                moment.month += whole;
                carry_months(moment);
            } else {
                moment.year += whole;
            }
            moment.measure_overflow();
            moment.julian_valid = false;
            count -= f64::from(whole);
        }
        moment.settle_julian();
        moment.julian_ms += (count * 1000.0 * f64::from(*seconds) + rounder) as i64;
    }
    moment.forget_parts();
    known.is_some()
}
