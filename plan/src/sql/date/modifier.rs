//! The modifiers of a time value: `+3 days`, `start of month`, `weekday 0`, `unixepoch` and so on. A modifier is read
//! first and applied then, so that a constant one is read only once.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "SQLite's own conversions between milliseconds, reals and small integers, all bounded by the calendar"
)]

use super::parse::{digits, time_of_day};
use super::{DAY_MS, Moment, UNIX_EPOCH_MS};
use crate::sql::number;

/// A unit of `NNN units`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Month,
    Year,
}

/// Each unit: its name, the largest number of it, and its seconds.
const UNITS: [(Unit, &str, f32, f32); 6] = [
    (Unit::Second, "second", 4.6427e+14, 1.0),
    (Unit::Minute, "minute", 7.7379e+12, 60.0),
    (Unit::Hour, "hour", 1.2897e+11, 3_600.0),
    (Unit::Day, "day", 5_373_485.0, 86_400.0),
    (Unit::Month, "month", 176_546.0, 2_592_000.0),
    (Unit::Year, "year", 14_713.0, 31_536_000.0),
];

/// A modifier as it was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Modifier {
    Auto,
    Ceiling,
    Floor,
    JulianDay,
    LocalTime,
    UnixEpoch,
    Utc,
    Subsecond,
    /// `weekday N`: the day, from Sunday, and whether to go backwards.
    Weekday(i64, bool),
    /// `start of …` a day, month or year.
    StartOf(Unit),
    /// `end of …` a day, month or year.
    EndOf(Unit),
    /// `+YYYY-MM-DD`, with or without a time behind it.
    Date {
        sign: i32,
        years: i32,
        months: i32,
        days: i32,
        /// The time in milliseconds.
        ms: Option<i64>,
    },
    /// `+HH:MM:SS`, in milliseconds.
    Time(i64),
    /// `NNN units`: how many, of what, and the seconds of one.
    Units(f64, Unit, f32),
}

impl Modifier {
    /// Reads a modifier; `None` where it is not understood.
    pub(super) fn read(text: &str) -> Option<Self> {
        match text.as_bytes().first()? {
            b'+' | b'-' | b'0'..=b'9' => shift(text.as_bytes()),
            // Modifiers are written in lower case, mostly.
            _ if text.bytes().any(|byte| byte.is_ascii_uppercase()) => named(&text.to_ascii_lowercase()),
            _ => named(text),
        }
    }

    /// Applies the modifier. False where it cannot be; some can only be the `first`.
    pub(super) fn apply(self, moment: &mut Moment, first: bool) -> bool {
        match self {
            Self::Auto => return first && automatic(moment),
            Self::JulianDay => {
                let takes = first && moment.julian_valid && moment.raw;
                moment.raw &= !takes;
                return takes;
            }
            Self::UnixEpoch => return first && unix_seconds(moment),
            Self::StartOf(unit) => return start_of(moment, unit),
            Self::EndOf(unit) => return end_of(moment, unit),
            Self::Ceiling => {
                moment.settle_julian();
                moment.forget_parts();
                moment.overflow_days = 0;
            }
            Self::Floor => {
                moment.settle_julian();
                moment.julian_ms -= i64::from(moment.overflow_days) * DAY_MS;
                moment.forget_parts();
            }
            Self::LocalTime => {
                if !moment.local {
                    to_local(moment);
                }
                (moment.utc, moment.local) = (false, true);
            }
            Self::Utc => to_utc(moment),
            Self::Subsecond => moment.subsecond = true,
            Self::Weekday(day, backwards) => weekday(moment, day, backwards),
            Self::Date { sign, years, months, days, ms } => {
                shift_date(moment, (sign * years, sign * months, sign * days));
                if let Some(ms) = ms {
                    shift_time(moment, i64::from(sign) * ms);
                }
            }
            Self::Time(ms) => shift_time(moment, ms),
            Self::Units(count, unit, seconds) => shift_units(moment, count, unit, seconds),
        }
        true
    }
}

/// A modifier that is a name, in lower case.
fn named(name: &str) -> Option<Modifier> {
    Some(match name {
        "auto" => Modifier::Auto,
        "ceiling" => Modifier::Ceiling,
        "floor" => Modifier::Floor,
        "julianday" => Modifier::JulianDay,
        "localtime" => Modifier::LocalTime,
        "unixepoch" => Modifier::UnixEpoch,
        "utc" => Modifier::Utc,
        "subsec" | "subsecond" => Modifier::Subsecond,
        "start of day" => Modifier::StartOf(Unit::Day),
        "start of month" => Modifier::StartOf(Unit::Month),
        "start of year" => Modifier::StartOf(Unit::Year),
        "end of day" => Modifier::EndOf(Unit::Day),
        "end of month" => Modifier::EndOf(Unit::Month),
        "end of year" => Modifier::EndOf(Unit::Year),
        _ => return day_of_week(name.strip_prefix("weekday ")?),
    })
}

/// `N` of `weekday N`: forwards to that day of the week, or backwards where a `-` stands before it.
fn day_of_week(day: &str) -> Option<Modifier> {
    let read = number::parse_real(day.as_bytes());
    let wanted = read.value as i64;
    let is_day =
        read.prefix && read.whole && (-6.0..=6.0).contains(&read.value) && number::real_is_integer(read.value, wanted);
    is_day.then(|| Modifier::Weekday(wanted.abs(), day.contains('-')))
}

/// `+YYYY-MM-DD HH:MM`, `+HH:MM:SS` or `NNN units`.
fn shift(text: &[u8]) -> Option<Modifier> {
    let mut end = 1;
    while let Some(byte) = text.get(end) {
        if *byte == b':' || number::is_space(*byte) || is_year(text, end) {
            break;
        }
        end += 1;
    }
    let (number, rest) = text.split_at_checked(end)?;
    let read = number::parse_real(number);
    if !(read.prefix && read.whole) {
        return None;
    }
    match rest.first() {
        Some(b'-') => date(text, end),
        Some(b':') => {
            let backwards = text.first() == Some(&b'-');
            let time = if text.first().is_some_and(u8::is_ascii_digit) { text } else { text.get(1..)? };
            let ms = time_ms(time)?;
            Some(Modifier::Time(if backwards { -ms } else { ms }))
        }
        _ => units(read.value, rest),
    }
}

/// Whether the `-` at `end` follows a sign and the four or five digits of a year.
fn is_year(text: &[u8], end: usize) -> bool {
    text.get(end) == Some(&b'-')
        && matches!(end, 5 | 6)
        && text.get(1..).and_then(|text| digits(text, end - 1, 0, 14_712)).is_some()
}

fn date(text: &[u8], end: usize) -> Option<Modifier> {
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (years, rest) = digits(text.get(1..)?, end - 1, 0, 14_712)?;
    let (months, rest) = digits(rest.strip_prefix(b"-")?, 2, 0, 11)?;
    let (days, rest) = digits(rest.strip_prefix(b"-")?, 2, 0, 30)?;
    let ms = match rest.split_first() {
        None => None,
        Some((space, time)) if number::is_space(*space) => {
            let (_, minutes) = digits(time, 2, 0, 24)?;
            digits(minutes.strip_prefix(b":")?, 2, 0, 59)?;
            Some(time_ms(time)?)
        }
        Some(_) => return None,
    };
    Some(Modifier::Date { sign, years, months, days, ms })
}

/// A time of day in milliseconds.
fn time_ms(time: &[u8]) -> Option<i64> {
    let mut moment = Moment::default();
    time_of_day(&mut moment, time)?;
    moment.settle_julian();
    Some((moment.julian_ms - DAY_MS / 2) % DAY_MS)
}

fn units(count: f64, unit: &[u8]) -> Option<Modifier> {
    let spaces = unit.iter().take_while(|byte| number::is_space(**byte)).count();
    let unit = unit.get(spaces..)?;
    if !(3..=10).contains(&unit.len()) {
        return None;
    }
    let unit = unit.strip_suffix(b"s").or_else(|| unit.strip_suffix(b"S")).unwrap_or(unit);
    let (unit, _, _, seconds) = UNITS
        .iter()
        .find(|(_, name, limit, _)| unit.eq_ignore_ascii_case(name.as_bytes()) && count.abs() < f64::from(*limit))?;
    Some(Modifier::Units(count, *unit, *seconds))
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

/// To a day of the week, counted from Sunday.
fn weekday(moment: &mut Moment, wanted: i64, backwards: bool) {
    moment.settle_parts();
    moment.zone = 0;
    moment.julian_valid = false;
    moment.settle_julian();
    let today = moment.day_after_sunday();
    if today != wanted {
        let behind = if today > wanted { today - 7 } else { today };
        moment.julian_ms += (wanted - behind) * DAY_MS;
        if backwards {
            moment.julian_ms -= 7 * DAY_MS;
        }
    }
    moment.forget_parts();
}

/// Takes hold of the date, and sets the time of day. False where there is no moment at all.
fn bound(moment: &mut Moment, (hour, minute, second): (i32, i32, f64)) -> bool {
    if !moment.julian_valid && !moment.date_valid && !moment.time_valid {
        return false;
    }
    moment.settle_date();
    moment.time_valid = true;
    (moment.hour, moment.minute, moment.second) = (hour, minute, second);
    (moment.raw, moment.zone, moment.julian_valid) = (false, 0, false);
    true
}

fn start_of(moment: &mut Moment, unit: Unit) -> bool {
    let is_bound = bound(moment, (0, 0, 0.0));
    match unit {
        Unit::Month => moment.day = 1,
        Unit::Year => (moment.month, moment.day) = (1, 1),
        _ => {}
    }
    is_bound
}

fn end_of(moment: &mut Moment, unit: Unit) -> bool {
    let is_bound = bound(moment, (23, 59, 59.999));
    match unit {
        Unit::Month => {
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
        Unit::Year => (moment.month, moment.day) = (12, 31),
        _ => {}
    }
    is_bound
}

fn shift_date(moment: &mut Moment, (years, months, days): (i32, i32, i32)) {
    moment.settle_parts();
    moment.julian_valid = false;
    moment.year += years;
    moment.month += months;
    carry_months(moment);
    moment.measure_overflow();
    moment.settle_julian();
    (moment.time_valid, moment.date_valid) = (false, false);
    moment.julian_ms += i64::from(days) * DAY_MS;
}

/// Months beyond the year become years.
fn carry_months(moment: &mut Moment) {
    let years = if moment.month > 0 { (moment.month - 1) / 12 } else { (moment.month - 12) / 12 };
    moment.year += years;
    moment.month -= years * 12;
}

fn shift_time(moment: &mut Moment, ms: i64) {
    moment.settle_julian();
    moment.forget_parts();
    moment.julian_ms += ms;
}

fn shift_units(moment: &mut Moment, mut count: f64, unit: Unit, seconds: f32) {
    moment.settle_julian();
    let rounder = if count < 0.0 { -0.5 } else { 0.5 };
    moment.overflow_days = 0;
    if matches!(unit, Unit::Month | Unit::Year) {
        moment.settle_parts();
        let whole = count as i32;
        if unit == Unit::Month {
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
    moment.julian_ms += (count * 1000.0 * f64::from(seconds) + rounder) as i64;
    moment.forget_parts();
}
