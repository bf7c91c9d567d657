//! The date and time functions with all their modifiers (<https://www.sqlite.org/lang_datefunc.html>, `date.c`).
//!
//! A moment is a Julian day in milliseconds, a calendar date and time of day, or both, exactly as in SQLite: which of
//! the two is valid decides how a modifier works. Local time is UTC: a pipeline must not depend on the time zone of the
//! machine that it happens to run on.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "SQLite's own conversions between milliseconds, reals and small integers, all bounded by the calendar"
)]

use std::fmt::Write as _;

use super::number;
use super::printf;
use super::storage::{self, text_value, until_nul};
use crate::{Reject, Value};

mod modifier;
mod parse;

const DAY_MS: i64 = 86_400_000;
/// 1970-01-01T00:00:00Z as a Julian day in milliseconds.
const UNIX_EPOCH_MS: i64 = 210_866_760_000_000;
/// 9999-12-31 23:59:59.999 as a Julian day in milliseconds.
const JULIAN_MS_MAX: i64 = 464_269_060_799_999;

/// A moment (`DateTime` of `date.c`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each says which of the forms below is valid")]
struct Moment {
    julian_ms: i64,
    year: i32,
    month: i32,
    day: i32,
    hour: i32,
    minute: i32,
    second: f64,
    /// Offset from UTC in minutes.
    zone: i32,
    julian_valid: bool,
    date_valid: bool,
    time_valid: bool,
    /// By how many days the day of the month is beyond the month's end.
    overflow_days: i32,
    /// `second` is a number as the user gave it: a Julian day or Unix seconds.
    raw: bool,
    failed: bool,
    subsecond: bool,
    utc: bool,
    local: bool,
}

impl Moment {
    /// The time that is now, given as microseconds since 1970.
    fn of_unix_us(now_us: i64) -> Self {
        let julian_ms = now_us.div_euclid(1_000) + UNIX_EPOCH_MS;
        Self { julian_ms, julian_valid: true, utc: true, ..Self::default() }
    }

    fn fail(&mut self) {
        *self = Self { failed: true, ..Self::default() };
    }

    /// `computeJD`: the Julian day from date and time. A missing date is 2000-01-01.
    fn settle_julian(&mut self) {
        if self.julian_valid {
            return;
        }
        let (mut year, mut month, mut day) = (self.year, self.month, self.day);
        if !self.date_valid {
            (year, month, day) = (2000, 1, 1);
            if self.time_valid && self.hour == 24 {
                self.hour = 0;
                day = 2;
            }
        }
        if !(-4713..=9999).contains(&year) || self.raw {
            self.fail();
            return;
        }
        if month <= 2 {
            year -= 1;
            month += 12;
        }
        let century = (year + 4800) / 100;
        let leap = 38 - century + century / 4;
        let days_of_years = 36_525 * (year + 4716) / 100;
        let days_of_months = 306_001 * (month + 1) / 10_000;
        let days = f64::from(days_of_years + days_of_months + day + leap) - 1524.5;
        self.julian_ms = (days * DAY_MS as f64) as i64;
        self.julian_valid = true;
        if self.time_valid {
            self.julian_ms += i64::from(self.hour) * 3_600_000 + i64::from(self.minute) * 60_000;
            self.julian_ms += (self.second * 1000.0 + 0.5) as i64;
            if self.zone != 0 {
                self.julian_ms -= i64::from(self.zone) * 60_000;
                self.forget_parts();
                self.utc = true;
                self.local = false;
            }
        }
    }

    /// `computeYMD`: the date from the Julian day (Meeus, Astronomical Algorithms).
    fn settle_date(&mut self) {
        if self.date_valid {
            return;
        }
        if !self.julian_valid {
            (self.year, self.month, self.day) = (2000, 1, 1);
        } else if !(0..=JULIAN_MS_MAX).contains(&self.julian_ms) {
            self.fail();
            return;
        } else {
            let days = ((self.julian_ms + DAY_MS / 2) / DAY_MS) as i32;
            let alpha = ((f64::from(days) + 32_044.75) / 36_524.25) as i32 - 52;
            let a = days + 1 + alpha - ((alpha + 100) / 4) + 25;
            let b = a + 1524;
            let c = ((f64::from(b) - 122.1) / 365.25) as i32;
            let d = (36_525 * (c & 32_767)) / 100;
            let e = (f64::from(b - d) / 30.6001) as i32;
            self.day = b - d - (30.6001 * f64::from(e)) as i32;
            self.month = if e < 14 { e - 1 } else { e - 13 };
            self.year = if self.month > 2 { c - 4716 } else { c - 4715 };
        }
        self.date_valid = true;
    }

    /// `computeHMS`: the time of day from the Julian day.
    fn settle_time(&mut self) {
        if self.time_valid {
            return;
        }
        self.settle_julian();
        let day_ms = ((self.julian_ms + DAY_MS / 2) % DAY_MS) as i32;
        self.second = f64::from(day_ms % 60_000) / 1000.0;
        let minutes = day_ms / 60_000;
        self.minute = minutes % 60;
        self.hour = minutes / 60;
        self.raw = false;
        self.time_valid = true;
    }

    fn settle_parts(&mut self) {
        self.settle_date();
        self.settle_time();
    }

    /// `clearYMD_HMS_TZ`: only the Julian day stays.
    fn forget_parts(&mut self) {
        self.date_valid = false;
        self.time_valid = false;
        self.zone = 0;
    }

    /// `computeFloor`.
    fn measure_overflow(&mut self) {
        self.overflow_days = (self.day - days_of_month(self.year, self.month)).max(0);
    }

    /// A number as the user gives it; what can be a Julian day is one.
    fn from_number(number: f64) -> Self {
        let mut moment = Self { second: number, raw: true, ..Self::default() };
        if (0.0..5_373_484.5).contains(&number) {
            moment.julian_ms = (number * DAY_MS as f64 + 0.5) as i64;
            moment.julian_valid = true;
        }
        moment
    }

    /// Days since the first of January.
    fn day_of_year(&self) -> i64 {
        let mut first = Self { julian_valid: false, month: 1, day: 1, ..*self };
        first.settle_julian();
        (self.julian_ms - first.julian_ms + DAY_MS / 2) / DAY_MS
    }

    /// Days since Monday.
    const fn day_of_week(&self) -> i64 {
        ((self.julian_ms + DAY_MS / 2) / DAY_MS) % 7
    }

    /// Days since Sunday.
    const fn day_after_sunday(&self) -> i64 {
        ((self.julian_ms + 3 * DAY_MS / 2) / DAY_MS) % 7
    }

    /// The Thursday of the same week, whose year is the year that ISO 8601 counts the week to.
    fn thursday(&self) -> Self {
        let mut thursday = *self;
        thursday.julian_ms += (3 - self.day_of_week()) * DAY_MS;
        thursday.date_valid = false;
        thursday.settle_date();
        thursday
    }
}

/// The days of a month.
const fn days_of_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => 30,
    }
}

/// A time value and its modifiers as a moment; `None` where one of them is not understood or NULL.
fn moment(now_us: i64, values: &[&Value<'_>]) -> Result<Option<Moment>, Reject> {
    let Some((first, modifiers)) = values.split_first() else { return Ok(Some(Moment::of_unix_us(now_us))) };
    let parsed = match first {
        Value::Int(value) => Some(Moment::from_number(number::integer_to_real(*value))),
        Value::Float(value) => Some(Moment::from_number(*value)),
        Value::Decimal(_) | Value::Bool(_) => storage::operand(first)?.map(|number| Moment::from_number(number.real())),
        _ => storage::text(first)?.and_then(|text| parse::time_value(now_us, until_nul(&text))),
    };
    let Some(mut moment) = parsed else { return Ok(None) };
    for (at, modifier) in modifiers.iter().enumerate() {
        let Some(text) = storage::text(modifier)? else { return Ok(None) };
        if !modifier::apply(&mut moment, until_nul(&text), at == 0) {
            return Ok(None);
        }
    }
    moment.settle_julian();
    if moment.failed || !(0..=JULIAN_MS_MAX).contains(&moment.julian_ms) {
        return Ok(None);
    }
    if modifiers.is_empty() && moment.date_valid && moment.day > 28 {
        // 2023-02-31 is 2023-03-03.
        moment.date_valid = false;
    }
    Ok(Some(moment))
}

fn with_moment<'a>(
    now_us: i64,
    values: &[&Value<'_>],
    show: impl FnOnce(Moment) -> Value<'a>,
) -> Result<Value<'a>, Reject> {
    Ok(moment(now_us, values)?.map_or(Value::Null, show))
}

/// `julianday(…)`.
pub(super) fn julian_day<'a>(now_us: i64, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(now_us, values, |moment| Value::Float(moment.julian_ms as f64 / DAY_MS as f64))
}

/// `unixepoch(…)`: seconds, whole unless `subsec` is among the modifiers.
pub(super) fn unix_epoch<'a>(now_us: i64, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(now_us, values, |moment| {
        if moment.subsecond {
            Value::Float((moment.julian_ms - UNIX_EPOCH_MS) as f64 / 1000.0)
        } else {
            Value::Int(moment.julian_ms / 1000 - UNIX_EPOCH_MS / 1000)
        }
    })
}

/// The most bytes of a date and time as these functions write them.
const MOMENT_BYTES_MAX: usize = 24;

/// Writes a number of at most two digits; SQLite's calendar has no larger ones here.
fn push_two(out: &mut String, number: i32) {
    match u8::try_from(number) {
        Ok(number @ 0..=99) => {
            out.push(char::from(b'0' + number / 10));
            out.push(char::from(b'0' + number % 10));
        }
        _ => put(out, format_args!("{number:02}")),
    }
}

fn push_year(out: &mut String, year: i32) {
    match year {
        0..=9999 => {
            push_two(out, year / 100);
            push_two(out, year % 100);
        }
        _ => put(out, format_args!("{year:04}")),
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text never fails.
    let _ = out.write_fmt(text);
}

fn push_date(out: &mut String, moment: &Moment) {
    push_year(out, moment.year);
    out.push('-');
    push_two(out, moment.month);
    out.push('-');
    push_two(out, moment.day);
}

fn push_time(out: &mut String, moment: &Moment) {
    push_two(out, moment.hour);
    out.push(':');
    push_two(out, moment.minute);
    out.push(':');
    if moment.subsecond {
        let ms = (1000.0 * moment.second + 0.5) as i32;
        push_two(out, ms / 1000);
        put(out, format_args!(".{:03}", ms % 1000));
    } else {
        push_two(out, moment.second as i32);
    }
}

/// The sign of a year stands before its four digits.
fn push_signed_date(out: &mut String, moment: &Moment) {
    if moment.year < 0 {
        out.push('-');
    }
    push_date(out, &Moment { year: moment.year.abs() % 10_000, ..*moment });
}

/// A text that `show` writes of a moment.
fn shown<'a>(now_us: i64, values: &[&Value<'_>], show: impl FnOnce(&mut String, Moment)) -> Result<Value<'a>, Reject> {
    with_moment(now_us, values, |moment| {
        let mut out = String::with_capacity(MOMENT_BYTES_MAX);
        show(&mut out, moment);
        text_value(out)
    })
}

/// `date(…)`.
pub(super) fn date<'a>(now_us: i64, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    shown(now_us, values, |out, mut moment| {
        moment.settle_date();
        push_signed_date(out, &moment);
    })
}

/// `time(…)`.
pub(super) fn time<'a>(now_us: i64, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    shown(now_us, values, |out, mut moment| {
        moment.settle_time();
        push_time(out, &moment);
    })
}

/// `datetime(…)`.
pub(super) fn date_time<'a>(now_us: i64, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    shown(now_us, values, |out, mut moment| {
        moment.settle_parts();
        push_signed_date(out, &moment);
        out.push(' ');
        push_time(out, &moment);
    })
}

/// `strftime(format, …)`; NULL where the format has a letter that SQLite does not know.
pub(super) fn strftime<'a>(now_us: i64, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let Some((format, values)) = values.split_first() else { return Ok(Value::Null) };
    let (Some(format), Some(mut moment)) = (storage::text(format)?, moment(now_us, values)?) else {
        return Ok(Value::Null);
    };
    moment.settle_julian();
    moment.settle_parts();
    let mut out = String::with_capacity(format.len().saturating_mul(2).min(storage::TEXT_BYTES_MAX));
    let mut rest = until_nul(&format);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let mut chars = after.chars();
        if !chars.next().is_some_and(|letter| push_formatted(&mut out, &moment, letter)) {
            return Ok(Value::Null);
        }
        if out.len() > storage::TEXT_BYTES_MAX {
            return Err(storage::too_long());
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(text_value(out))
}

/// One conversion of `strftime()`; false where there is no such letter.
fn push_formatted(out: &mut String, moment: &Moment, letter: char) -> bool {
    let twelve = match moment.hour % 12 {
        0 => 12,
        hour => hour,
    };
    match letter {
        'd' => push_two(out, moment.day),
        'e' => put(out, format_args!("{:2}", moment.day)),
        'f' => out.push_str(&ascii(printf::seconds(moment.second.min(59.999)))),
        'F' => push_date(out, moment),
        'G' => push_year(out, moment.thursday().year),
        'g' => push_two(out, moment.thursday().year % 100),
        'H' => push_two(out, moment.hour),
        'k' => put(out, format_args!("{:2}", moment.hour)),
        'I' => push_two(out, twelve),
        'l' => put(out, format_args!("{twelve:2}")),
        'j' => put(out, format_args!("{:03}", moment.day_of_year() + 1)),
        'J' => out.push_str(&ascii(printf::plain(moment.julian_ms as f64 / DAY_MS as f64, b'g', 16))),
        'm' => push_two(out, moment.month),
        'M' => push_two(out, moment.minute),
        'p' => out.push_str(if moment.hour >= 12 { "PM" } else { "AM" }),
        'P' => out.push_str(if moment.hour >= 12 { "pm" } else { "am" }),
        'R' => put(out, format_args!("{:02}:{:02}", moment.hour, moment.minute)),
        's' if moment.subsecond => {
            out.push_str(&ascii(printf::plain((moment.julian_ms - UNIX_EPOCH_MS) as f64 / 1000.0, b'f', 3)));
        }
        's' => put(out, format_args!("{}", moment.julian_ms / 1000 - UNIX_EPOCH_MS / 1000)),
        'S' => push_two(out, moment.second as i32),
        'T' => push_time(out, &Moment { subsecond: false, ..*moment }),
        'u' => put(out, format_args!("{}", (moment.day_after_sunday() + 6) % 7 + 1)),
        'w' => put(out, format_args!("{}", moment.day_after_sunday())),
        'U' => put(out, format_args!("{:02}", (moment.day_of_year() - moment.day_after_sunday() + 7) / 7)),
        'V' => put(out, format_args!("{:02}", moment.thursday().day_of_year() / 7 + 1)),
        'W' => put(out, format_args!("{:02}", (moment.day_of_year() - moment.day_of_week() + 7) / 7)),
        'Y' => push_year(out, moment.year),
        '%' => out.push('%'),
        _ => return false,
    }
    true
}

fn ascii(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_default()
}

/// `timediff(left, right)`: what must be added to the right to get the left, in calendar units.
pub(super) fn time_diff<'a>(now_us: i64, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'a>, Reject> {
    let (Some(mut left), Some(mut right)) = (moment(now_us, &[left])?, moment(now_us, &[right])?) else {
        return Ok(Value::Null);
    };
    left.settle_parts();
    right.settle_parts();
    let forward = left.julian_ms >= right.julian_ms;
    let direction = if forward { 1 } else { -1 };
    let mut years = direction * (left.year - right.year);
    if years != 0 {
        move_to(&mut right, left.year, None);
    }
    let mut months = direction * (left.month - right.month);
    if months < 0 {
        years -= 1;
        months += 12;
    }
    if months != 0 {
        let year = right.year;
        move_to(&mut right, year, Some(left.month));
    }
    // Whole months that go beyond the goal are taken back one by one.
    while direction_of(left.julian_ms - right.julian_ms) == -direction {
        months -= 1;
        if months < 0 {
            months = 11;
            years -= 1;
        }
        step_month(&mut right, -direction);
    }
    let rest = (left.julian_ms - right.julian_ms) * i64::from(direction);
    let mut rest = Moment { julian_ms: rest + 148_699_540_800_000, julian_valid: true, ..Moment::default() };
    rest.settle_parts();
    let sign = if forward { '+' } else { '-' };
    let seconds = ascii(printf::seconds(rest.second));
    Ok(text_value(format!(
        "{sign}{years:04}-{months:02}-{:02} {:02}:{:02}:{seconds}",
        rest.day - 1,
        rest.hour,
        rest.minute
    )))
}

const fn direction_of(difference: i64) -> i32 {
    difference.signum() as i32
}

fn move_to(moment: &mut Moment, year: i32, month: Option<i32>) {
    moment.year = year;
    moment.month = month.unwrap_or(moment.month);
    moment.julian_valid = false;
    moment.settle_julian();
}

fn step_month(moment: &mut Moment, direction: i32) {
    let mut month = moment.month + direction;
    let mut year = moment.year;
    if month < 1 {
        month = 12;
        year -= 1;
    } else if month > 12 {
        month = 1;
        year += 1;
    }
    move_to(moment, year, Some(month));
}
