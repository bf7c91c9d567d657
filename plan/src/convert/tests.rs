//! What converts to what, as a table.

use super::*;

fn text(text: &str) -> Value<'_> {
    Value::Text(Cow::Borrowed(text))
}

/// The converted value in its usual notation, or the code that rejects it.
fn outcome(value: Value<'_>, to: &ColumnType) -> String {
    match convert(value, to) {
        Ok(value) => format!("{} {}", value.kind(), display(&value)),
        Err(reject) => reject.code.to_string(),
    }
}

#[test]
fn text_becomes_what_it_spells() {
    let varchar3 = || ColumnType { length_max: Some(3), ..Type::Text.into() };
    let money = || ColumnType { precision: Some(5), scale: Some(2), ..Type::Decimal.into() };
    let small = || ColumnType { bits: Some(16), ..Type::Int.into() };
    let tiny_unsigned = || ColumnType { bits: Some(8), unsigned: true, ..Type::Int.into() };
    let real = || ColumnType { bits: Some(32), ..Type::Float.into() };
    let milliseconds = || ColumnType { scale: Some(3), ..Type::Timestamp.into() };
    let rounded = || ColumnType { precision: Some(7), scale: Some(2), ..real() };
    let year = || ColumnType { range: Some([1_901, 2_155]), ..small() };
    let members = |is_set| {
        let names = ["a", "B", "10"].map(str::to_owned).to_vec();
        ColumnType { members: Some(Box::new(Members { names, is_set })), ..Type::Text.into() }
    };
    let seconds = || ColumnType { scale: Some(0), ..Type::Time.into() };
    let long = || ColumnType::from(Type::Int);
    for (input, to, expected) in [
        ("42", long(), "int 42"),
        (" -7 ", long(), "int -7"),
        ("42.0", long(), "int 42"),
        ("4.2e1", long(), "int 42"),
        ("4.5", long(), "R0507"),
        ("", long(), "R0504"),
        ("abc", long(), "R0504"),
        ("9223372036854775807", long(), "int 9223372036854775807"),
        ("9223372036854775808", long(), "R0505"),
        ("1e999999999999", long(), "R0504"),
        ("32768", small(), "R0505"),
        ("-32768", small(), "int -32768"),
        ("255", tiny_unsigned(), "int 255"),
        ("-1", tiny_unsigned(), "R0505"),
        ("0.1", Type::Float.into(), "float 0.1"),
        ("1e400", Type::Float.into(), "R0505"),
        ("nan", Type::Float.into(), "R0504"),
        ("1e39", real(), "R0505"),
        ("1.25", rounded(), "float 1.25"),
        ("1.255", rounded(), "R0507"),
        ("1999", year(), "int 1999"),
        ("5", year(), "R0505"),
        ("b", members(false), "text b"),
        ("10", members(false), "text 10"),
        ("1", members(false), "R0504"),
        ("a,b", members(false), "R0504"),
        ("", members(false), "R0504"),
        ("a,10", members(true), "text a,10"),
        ("", members(true), "text "),
        ("3", members(true), "R0504"),
        ("123.45", money(), "decimal 123.45"),
        ("123.450", money(), "decimal 123.450"),
        ("123.456", money(), "R0507"),
        ("1234", money(), "R0505"),
        ("-0.5e1", money(), "decimal -5"),
        (".5", Type::Decimal.into(), "decimal 0.5"),
        (
            "123456789012345678901234567890.123456789",
            Type::Decimal.into(),
            "decimal 123456789012345678901234567890.123456789",
        ),
        ("2024-01-02 03:04:05.678", milliseconds(), "timestamp 2024-01-02 03:04:05.678"),
        ("2024-01-02 03:04:05.6789", milliseconds(), "R0507"),
        ("03:04:05", seconds(), "time 03:04:05"),
        ("03:04:05.5", seconds(), "R0507"),
        ("TRUE", Type::Bool.into(), "bool true"),
        ("0", Type::Bool.into(), "bool false"),
        ("2", Type::Bool.into(), "R0504"),
        ("äöü", varchar3(), "text äöü"),
        ("äöüß", varchar3(), "R0506"),
        ("a\0b", Type::Text.into(), "R0508"),
        ("2024-02-29", Type::Date.into(), "date 2024-02-29"),
        ("1969-12-31", Type::Date.into(), "date 1969-12-31"),
        ("2023-02-29", Type::Date.into(), "R0504"),
        ("2024-02-29T10:00:00", Type::Date.into(), "R0507"),
        ("10:20:30.5", Type::Time.into(), "time 10:20:30.5"),
        ("2024-02-29 10:20:30.123456", Type::Timestamp.into(), "timestamp 2024-02-29 10:20:30.123456"),
        ("2024-02-29T10:20:30.1234567", Type::Timestamp.into(), "R0507"),
        ("1960-01-01T00:00:00.5", Type::Timestamp.into(), "timestamp 1960-01-01 00:00:00.5"),
        ("2024-02-29T10:20:30+02:00", Type::TimestampTz.into(), "timestamptz 2024-02-29 08:20:30+00:00"),
        ("2024-02-29T10:20:30Z", Type::TimestampTz.into(), "timestamptz 2024-02-29 10:20:30+00:00"),
        ("{A0EEBC99-9C0B4EF8-BB6D-6BB9BD380A11}", Type::Uuid.into(), "uuid a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("a0eebc99", Type::Uuid.into(), "R0504"),
        ("{\"a\": 1}", Type::Json.into(), "json {\"a\": 1}"),
        ("hello", Type::Json.into(), "R0504"),
    ] {
        assert_eq!(outcome(text(input), &to), expected, "`{input}` to {to}");
    }
}

#[test]
fn numbers_keep_every_digit() {
    for (value, to, expected) in [
        (Value::Float(4.5), Type::Int, "R0507"),
        (Value::Float(4.0), Type::Int, "int 4"),
        (Value::Float(1e300), Type::Int, "R0505"),
        (Value::Int(i64::MAX), Type::Float, "R0507"),
        (Value::Int(1 << 53), Type::Float, "float 9007199254740992"),
        (Value::Float(0.1), Type::Decimal, "decimal 0.1"),
        (Value::Int(-3), Type::Text, "text -3"),
        (Value::Bytes(Cow::Borrowed(&[0xff])), Type::Text, "R0508"),
        (Value::Null, Type::Int, "null null"),
    ] {
        assert_eq!(outcome(value.clone(), &to.into()), expected, "{value:?} to {to}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(input in ".*", kind in 0..Type::NAMED.len()) {
        let _ = convert(text(&input), &Type::NAMED[kind].into());
    }

    #[test]
    fn integers_survive(number: i64) {
        proptest::prop_assert_eq!(outcome(text(&number.to_string()), &Type::Int.into()), format!("int {number}"));
    }
}

#[test]
fn lists_become_arrays() {
    let array = |text: &'static str| convert(Value::Text(text.into()), &Type::List.into());
    for (text, expected) in
        [("[]", "{}"), (r#"[1, null, "a\"b\\c", [true]]"#, r#"{"1",NULL,"a\"b\\c",{"true"}}"#), ("{1,2}", "{1,2}")]
    {
        assert_eq!(array(text), Ok(Value::Text(expected.into())), "{text}");
    }
    for (text, code) in [
        ("7", RejectCode::NotConvertible),
        ("[1", RejectCode::NotConvertible),
        ("[\"\\u0000\"]", RejectCode::InvalidText),
    ] {
        assert_eq!(array(text).unwrap_err().code, code, "{text}");
    }
}
