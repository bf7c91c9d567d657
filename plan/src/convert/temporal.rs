//! Dates and times: ISO 8601 in, counts of days and microseconds out.

use jiff::civil::{Date, DateTime, Time};
use jiff::fmt::temporal::{DateTimeParser, Pieces};
use jiff::{Timestamp, tz};

use super::{inexact, not};
use crate::{ColumnType, Reject, Type, Value};

static PARSER: DateTimeParser = DateTimeParser::new();
const DAY_US: i64 = 86_400_000_000;
/// The digits of a microsecond.
const SECOND_DIGITS: u32 = 6;

pub(super) fn convert<'a>(value: &Value<'_>, to: &ColumnType) -> Result<Value<'a>, Reject> {
    let converted = in_microseconds(value, to.kind)?;
    match (&converted, to.scale) {
        (Value::Time(us) | Value::Timestamp(us) | Value::TimestampTz(us), Some(digits))
            if us % 10_i64.pow(SECOND_DIGITS.saturating_sub(digits)) != 0 =>
        {
            Err(inexact(value, &format!("a time with {digits} digits behind the second")))
        }
        _ => Ok(converted),
    }
}

fn in_microseconds<'a>(value: &Value<'_>, to: Type) -> Result<Value<'a>, Reject> {
    match to {
        Type::Date => match parse(value) {
            Some(Parsed::Date(date)) => Ok(Value::Date(days(date))),
            Some(Parsed::Local(at) | Parsed::Instant(at)) if at.time() == Time::midnight() => {
                Ok(Value::Date(days(at.date())))
            }
            Some(Parsed::Local(_) | Parsed::Instant(_)) => Err(inexact(value, "a date")),
            _ => Err(not(value, "a date")),
        },
        Type::Time => match parse(value) {
            Some(Parsed::Time(time)) => micros(time).map(Value::Time).ok_or_else(|| inexact(value, "a time")),
            _ => Err(not(value, "a time of day")),
        },
        Type::Timestamp => at(value).map(Value::Timestamp),
        _ => at(value).map(Value::TimestampTz),
    }
}

fn at(value: &Value<'_>) -> Result<i64, Reject> {
    let at = match parse(value) {
        Some(Parsed::Local(at) | Parsed::Instant(at)) => at,
        Some(Parsed::Date(date)) => date.to_datetime(Time::midnight()),
        _ => return Err(not(value, "a date and time")),
    };
    let time = micros(at.time()).ok_or_else(|| inexact(value, "a timestamp in microseconds"))?;
    Ok(i64::from(days(at.date())) * DAY_US + time)
}

enum Parsed {
    Date(Date),
    Time(Time),
    Local(DateTime),
    /// The UTC reading of an instant.
    Instant(DateTime),
}

fn parse(value: &Value<'_>) -> Option<Parsed> {
    match value {
        Value::Date(days) => Some(Parsed::Date(from_days(*days)?)),
        Value::Time(us) => Some(Parsed::Time(from_micros(*us)?)),
        Value::Timestamp(us) => Some(Parsed::Local(from_us(*us)?)),
        Value::TimestampTz(us) => Some(Parsed::Instant(from_us(*us)?)),
        Value::Text(text) => parse_text(text.trim()),
        _ => None,
    }
}

fn parse_text(text: &str) -> Option<Parsed> {
    if let Ok(pieces) = Pieces::parse(text) {
        return Some(match (pieces.time(), pieces.to_numeric_offset()) {
            (None, _) => Parsed::Date(pieces.date()),
            (Some(time), None) => Parsed::Local(pieces.date().to_datetime(time)),
            (Some(_), Some(_)) => {
                let instant: Timestamp = PARSER.parse_timestamp(text).ok()?;
                Parsed::Instant(tz::Offset::UTC.to_datetime(instant))
            }
        });
    }
    PARSER.parse_time(text).ok().map(Parsed::Time)
}

fn days(date: Date) -> i32 {
    // jiff's dates span about 20,000 years, so the count always fits.
    let hours = date.duration_since(Date::constant(1970, 1, 1)).as_hours();
    i32::try_from(hours / 24).unwrap_or(i32::MAX)
}

/// Microseconds since midnight, or `None` where nanoseconds would be lost.
fn micros(time: Time) -> Option<i64> {
    let ns = time.duration_since(Time::midnight()).as_nanos();
    (ns % 1_000 == 0).then(|| i64::try_from(ns / 1_000).ok()).flatten()
}

fn from_days(days: i32) -> Option<Date> {
    Date::constant(1970, 1, 1).checked_add(jiff::SignedDuration::from_hours(i64::from(days) * 24)).ok()
}

fn from_micros(us: i64) -> Option<Time> {
    Time::midnight().checked_add(jiff::SignedDuration::from_micros(us)).ok()
}

fn from_us(us: i64) -> Option<DateTime> {
    let days = i32::try_from(us.div_euclid(DAY_US)).ok()?;
    Some(from_days(days)?.to_datetime(from_micros(us.rem_euclid(DAY_US))?))
}

pub(super) fn date(days: i32) -> String {
    from_days(days).map_or_else(|| format!("day {days}"), |date| date.to_string())
}

pub(super) fn time(us: i64) -> String {
    from_micros(us).map_or_else(|| format!("{us} us"), |time| time.to_string())
}

pub(super) fn timestamp(us: i64) -> String {
    from_us(us).map_or_else(|| format!("{us} us"), |at| at.to_string().replacen('T', " ", 1))
}
