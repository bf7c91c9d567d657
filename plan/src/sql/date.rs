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
use crate::functions::Prepared;
use crate::{Expr, Reject, Value};

mod modifier;
mod parse;

use modifier::Modifier;

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
        // SQLite counts in reals, which hold these halves of days exactly.
        let half_days = 2 * i64::from(days_of_years + days_of_months + day + leap) - 3049;
        self.julian_ms = half_days * (DAY_MS / 2);
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

    /// `computeYMD`: the date from the Julian day (Meeus, Astronomical Algorithms). SQLite divides reals, of which the
    /// integer parts are those of these fractions: none comes so near to the next integer that a real rounds to it.
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
            let alpha = (4 * days + 128_179) / 146_097 - 52;
            let a = days + 1 + alpha - ((alpha + 100) / 4) + 25;
            let b = a + 1524;
            let c = (20 * b - 2_442) / 7_305;
            let d = (36_525 * (c & 32_767)) / 100;
            let e = 10_000 * (b - d) / 306_001;
            self.day = b - d - 306_001 * e / 10_000;
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

/// What the functions have besides the values of their arguments.
#[derive(Debug, Clone, Copy)]
pub struct Times<'p> {
    /// The time that is now: microseconds since 1970-01-01T00:00:00Z.
    now_us: i64,
    /// What each argument says as a modifier, where it is a constant that is one.
    modifiers: &'p [Option<Modifier>],
}

impl<'p> Times<'p> {
    /// For a call with these arguments.
    pub(super) fn of(now_us: i64, args: &[Expr], prepared: &'p Prepared) -> Self {
        let read = |arg: &Expr| match arg.as_literal() {
            Some(Value::Text(text)) => Modifier::read(until_nul(text)),
            _ => None,
        };
        let modifiers: &[Option<Modifier>] = if args.len() > 1 {
            prepared.get(|| args.iter().map(read).collect::<Vec<_>>()).map(Vec::as_slice).unwrap_or_default()
        } else {
            &[]
        };
        Self { now_us, modifiers }
    }

    /// The same for a call that has other arguments before its time value.
    fn behind(&self, count: usize) -> Self {
        Self { modifiers: self.modifiers.get(count..).unwrap_or_default(), ..*self }
    }

    /// An argument as a modifier; `None` where it is not understood or NULL.
    fn modifier(&self, at: usize, value: &Value<'_>) -> Result<Option<Modifier>, Reject> {
        match self.modifiers.get(at) {
            Some(Some(read)) => Ok(Some(*read)),
            _ => Ok(storage::text(value)?.and_then(|text| Modifier::read(until_nul(&text)))),
        }
    }
}

/// Reads a time value and its modifiers into a moment of which nothing is set. False where one of them is not
/// understood or NULL.
fn settle(moment: &mut Moment, times: &Times<'_>, values: &[&Value<'_>]) -> Result<bool, Reject> {
    let Some((first, modifiers)) = values.split_first() else {
        *moment = Moment::of_unix_us(times.now_us);
        return Ok(true);
    };
    match first {
        Value::Text(text) => {
            if parse::time_value(moment, times.now_us, until_nul(text)).is_none() {
                return Ok(false);
            }
        }
        Value::Int(value) => *moment = Moment::from_number(number::integer_to_real(*value)),
        Value::Float(value) => *moment = Moment::from_number(*value),
        Value::Decimal(_) | Value::Bool(_) => match storage::operand(first)? {
            Some(number) => *moment = Moment::from_number(number.real()),
            None => return Ok(false),
        },
        _ => {
            let Some(text) = storage::text(first)? else { return Ok(false) };
            if parse::time_value(moment, times.now_us, until_nul(&text)).is_none() {
                return Ok(false);
            }
        }
    }
    for (at, modifier) in modifiers.iter().enumerate() {
        match times.modifier(at + 1, modifier)? {
            Some(modifier) if modifier.apply(moment, at == 0) => {}
            _ => return Ok(false),
        }
    }
    moment.settle_julian();
    if moment.failed || !(0..=JULIAN_MS_MAX).contains(&moment.julian_ms) {
        return Ok(false);
    }
    if modifiers.is_empty() && moment.date_valid && moment.day > 28 {
        // 2023-02-31 is 2023-03-03.
        moment.date_valid = false;
    }
    Ok(true)
}

/// What `show` makes of the moment that the arguments are, or NULL.
fn with_moment<'a>(
    times: &Times<'_>,
    values: &[&Value<'_>],
    show: impl FnOnce(&mut Moment) -> Value<'a>,
) -> Result<Value<'a>, Reject> {
    let mut moment = Moment::default();
    Ok(if settle(&mut moment, times, values)? { show(&mut moment) } else { Value::Null })
}

/// `julianday(…)`.
pub(super) fn julian_day<'a>(times: &Times<'_>, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(times, values, |moment| Value::Float(moment.julian_ms as f64 / DAY_MS as f64))
}

/// `unixepoch(…)`: seconds, whole unless `subsec` is among the modifiers.
pub(super) fn unix_epoch<'a>(times: &Times<'_>, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(times, values, |moment| {
        if moment.subsecond {
            Value::Float((moment.julian_ms - UNIX_EPOCH_MS) as f64 / 1000.0)
        } else {
            Value::Int(moment.julian_ms / 1000 - UNIX_EPOCH_MS / 1000)
        }
    })
}

/// The most bytes of a date and time as these functions write them.
const MOMENT_BYTES_MAX: usize = 24;

/// A number of at most two digits; `None` of any other.
fn two(number: i32) -> Option<[u8; 2]> {
    let number = u8::try_from(number).ok().filter(|number| *number < 100)?;
    Some([b'0' + number / 10, b'0' + number % 10])
}

/// Writes a number of at most two digits; SQLite's calendar has no larger ones here.
fn push_two(out: &mut String, number: i32) {
    match two(number) {
        Some(digits) => out.push_str(std::str::from_utf8(&digits).unwrap_or_default()),
        None => put(out, format_args!("{number:02}")),
    }
}

/// `YYYY-MM-DD`; `None` of a year that has a sign.
fn date_bytes(moment: &Moment) -> Option<[u8; 10]> {
    let (Some([y0, y1]), Some([y2, y3])) = (two(moment.year / 100), two(moment.year % 100)) else { return None };
    let (Some([m0, m1]), Some([d0, d1])) = (two(moment.month), two(moment.day)) else { return None };
    Some([y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1])
}

/// `HH:MM:SS`; `None` of a moment whose fractions of seconds are asked for.
fn time_bytes(moment: &Moment) -> Option<[u8; 8]> {
    if moment.subsecond {
        return None;
    }
    let (Some([h0, h1]), Some([m0, m1])) = (two(moment.hour), two(moment.minute)) else { return None };
    let [s0, s1] = two(moment.second as i32)?;
    Some([h0, h1, b':', m0, m1, b':', s0, s1])
}

/// Characters of ASCII as a text.
fn text_of<'a>(bytes: &[u8]) -> Value<'a> {
    text_value(ascii(bytes.to_vec()))
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
fn shown<'a>(moment: &Moment, show: impl FnOnce(&mut String, &Moment)) -> Value<'a> {
    let mut out = String::with_capacity(MOMENT_BYTES_MAX);
    show(&mut out, moment);
    text_value(out)
}

/// `date(…)`.
pub(super) fn date<'a>(times: &Times<'_>, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(times, values, |moment| {
        moment.settle_date();
        date_bytes(moment).map_or_else(|| shown(moment, push_signed_date), |date| text_of(&date))
    })
}

/// `time(…)`.
pub(super) fn time<'a>(times: &Times<'_>, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(times, values, |moment| {
        moment.settle_time();
        time_bytes(moment).map_or_else(|| shown(moment, push_time), |time| text_of(&time))
    })
}

/// `datetime(…)`.
pub(super) fn date_time<'a>(times: &Times<'_>, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    with_moment(times, values, |moment| {
        moment.settle_parts();
        if let (Some(date), Some(time)) = (date_bytes(moment), time_bytes(moment)) {
            let mut both = [b' '; 19];
            both[..10].copy_from_slice(&date);
            both[11..].copy_from_slice(&time);
            return text_of(&both);
        }
        shown(moment, |out, moment| {
            push_signed_date(out, moment);
            out.push(' ');
            push_time(out, moment);
        })
    })
}

/// `strftime(format, …)`; NULL where the format has a letter that SQLite does not know.
pub(super) fn strftime<'a>(times: &Times<'_>, values: &[&Value<'_>]) -> Result<Value<'a>, Reject> {
    let Some((format, values)) = values.split_first() else { return Ok(Value::Null) };
    let Some(format) = storage::text(format)? else { return Ok(Value::Null) };
    let mut moment = Moment::default();
    if !settle(&mut moment, &times.behind(1), values)? {
        return Ok(Value::Null);
    }
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
pub(super) fn time_diff<'a>(times: &Times<'_>, left: &Value<'_>, right: &Value<'_>) -> Result<Value<'a>, Reject> {
    let (left_value, right_value) = (left, right);
    let (mut left, mut right) = (Moment::default(), Moment::default());
    if !settle(&mut left, times, &[left_value])? || !settle(&mut right, times, &[right_value])? {
        return Ok(Value::Null);
    }
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
