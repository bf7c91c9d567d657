//! Functions of dates and times. They depend on the time that is now, so they are not pure.

use super::{Accepts, Args, Definition, Family, PLAIN, Param, Returns, eg};
use crate::{Reject, Type, Value, convert, number};

const TIME: Param = Param::new("time", Accepts::TEXT.or(Accepts::NUMBER));

pub(super) const ALL: &[Definition] = &[TIME_DELTA_DAYS, TIME_DELTA_SECONDS];

const TIME_DELTA_DAYS: Definition = Definition {
    name: "time_delta_days",
    family: Family::Time,
    params: &[TIME],
    returns: Returns::Always(Type::Int),
    pure: false,
    doc: "How many whole days ago a time was; negative for one that is to come. A text is a date-time of ISO 8601, \
          UTC unless it says otherwise; a number counts seconds since 1970-01-01.",
    examples: &[eg("time_delta_days(ordered) > `7000`", r#"{"ordered": "2000-01-01T00:00:00+01:00"}"#, "true")],
    body: |args| Ok(Value::Int(seconds_ago(args)?.div_euclid(86_400))),
    ..PLAIN
};

const TIME_DELTA_SECONDS: Definition = Definition {
    name: "time_delta_seconds",
    family: Family::Time,
    params: &[TIME],
    returns: Returns::Always(Type::Int),
    pure: false,
    doc: "How many whole seconds ago a time was; negative for one that is to come. Times as in `time_delta_days`.",
    examples: &[eg("time_delta_seconds(`4102444800`) < `0`", "null", "true")],
    body: |args| seconds_ago(args).map(Value::Int),
    ..PLAIN
};

fn seconds_ago(args: &Args<'_, '_>) -> Result<i64, Reject> {
    let value = args.value(0)?;
    let us = if number::is_number(&value) {
        #[expect(clippy::cast_possible_truncation, reason = "a cast from float saturates, and no clock goes that far")]
        let us = (number::to_f64(&value) * 1e6).round() as i64;
        us
    } else {
        match convert::convert(value, &Type::TimestampTz.into()) {
            Ok(Value::TimestampTz(us)) => us,
            Ok(_) => return Err(args.malformed("the time is none")),
            Err(reject) => return Err(args.malformed(&reject.reason)),
        }
    };
    Ok(args.now_us().saturating_sub(us).div_euclid(1_000_000))
}
