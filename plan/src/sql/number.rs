//! Numbers as text and back, digit for digit as SQLite does it (`util.c`: `sqlite3AtoF`, `sqlite3Atoi64`,
//! `sqlite3FpDecode`). It knows nothing of values and types.
//!
//! SQLite reads at most about 19 significant digits of a real and writes at most 17, by the fixed-point tables below.
//! Rust's own conversions are exact where SQLite's are not, so they cannot stand in for them.
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a port of fixed-point arithmetic on 64, 96 and 128 bits, whose truncations are what it computes"
)]

/// The leading 64 bits of 10^0 to 10^26.
const BASE: [u64; 27] = [
    0x8000_0000_0000_0000,
    0xa000_0000_0000_0000,
    0xc800_0000_0000_0000,
    0xfa00_0000_0000_0000,
    0x9c40_0000_0000_0000,
    0xc350_0000_0000_0000,
    0xf424_0000_0000_0000,
    0x9896_8000_0000_0000,
    0xbebc_2000_0000_0000,
    0xee6b_2800_0000_0000,
    0x9502_f900_0000_0000,
    0xba43_b740_0000_0000,
    0xe8d4_a510_0000_0000,
    0x9184_e72a_0000_0000,
    0xb5e6_20f4_8000_0000,
    0xe35f_a931_a000_0000,
    0x8e1b_c9bf_0400_0000,
    0xb1a2_bc2e_c500_0000,
    0xde0b_6b3a_7640_0000,
    0x8ac7_2304_89e8_0000,
    0xad78_ebc5_ac62_0000,
    0xd8d7_26b7_177a_8000,
    0x8786_7832_6eac_9000,
    0xa968_163f_0a57_b400,
    0xd3c2_1bce_cced_a100,
    0x8459_5161_4014_84a0,
    0xa56f_a5b9_9019_a5c8,
];

/// The leading 64 bits of 10^-351, 10^-324 and so on in steps of 27 up to 10^324; the 14th is 10^-1.
const SCALE: [u64; 26] = [
    0x8049_a4ac_0c58_11ae,
    0xcf42_894a_5dce_35ea,
    0xa76c_5823_38ed_2621,
    0x873e_4f75_e222_4e68,
    0xda7f_5bf5_9096_6848,
    0xb080_392c_c434_9dec,
    0x8e93_8662_882a_f53e,
    0xe658_29b3_046b_0afa,
    0xba12_1a46_50e4_ddeb,
    0x964e_858c_91ba_2655,
    0xf2d5_6790_ab41_c2a2,
    0xc428_d05a_a475_1e4c,
    0x9e74_d1b7_91e0_7e48,
    0xcccc_cccc_cccc_cccc,
    0xcecb_8f27_f420_0f3a,
    0xa70c_3c40_a64e_6c51,
    0x86f0_ac99_b4e8_dafd,
    0xda01_ee64_1a70_8de9,
    0xb01a_e745_b101_e9e4,
    0x8e41_ade9_fbeb_c27d,
    0xe5d3_ef28_2a24_2e81,
    0xb9a7_4a06_37ce_2ee1,
    0x95f8_3d0a_1fb6_9cd9,
    0xf24a_01a7_3cf2_dccf,
    0xc3b8_3581_09e8_4f07,
    0x9e19_db92_b4e3_1ba9,
];

/// The 32 bits that follow those of [`SCALE`].
const SCALE_LOW: [u32; 26] = [
    0x205b_896d,
    0x5206_4cad,
    0xaf2a_f2b8,
    0x5a77_44a7,
    0xaf39_a475,
    0xbd8d_794e,
    0x547e_b47b,
    0x0cb4_a5a3,
    0x92f3_4d62,
    0x3a6a_07f9,
    0xfae2_7299,
    0xaa97_e14c,
    0x775e_a265,
    0xcccc_cccc,
    0x0000_0000,
    0x9990_90b6,
    0x69a0_28bb,
    0xe80e_6f48,
    0x5ec0_5dd0,
    0x1458_8f14,
    0x8f16_68c9,
    0x6d95_3e2c,
    0x4abd_af10,
    0xbc63_3b39,
    0x0a86_2f81,
    0x6c07_a2c2,
];

/// Decimal exponents that are read and written; beyond them a number is zero or infinite.
const EXPONENT_MIN: i32 = -348;
const EXPONENT_MAX: i32 = 347;
/// A mantissa that takes one more digit.
const MANTISSA_MAX: u64 = (u64::MAX - 9) / 10;
/// The most significant digits with which SQLite writes a real (`SQLITE_DBCONFIG_FP_DIGITS`).
pub(super) const REAL_DIGITS_MAX: i64 = 17;

/// SQLite's `isspace`.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn skip_spaces(text: &[u8]) -> &[u8] {
    let spaces = text.iter().take_while(|byte| is_space(**byte)).count();
    text.get(spaces..).unwrap_or_default()
}

/// What a text says when it is read as a real.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RealText {
    /// The number of the longest prefix that is one; 0 where there is none.
    pub value: f64,
    /// Whether some prefix is a number.
    pub prefix: bool,
    /// Whether the whole text is one, but for space around it.
    pub whole: bool,
    /// Whether it has a decimal point or an exponent.
    pub fractional: bool,
}

/// The powers of ten by which the quick way divides.
const TENS: [f64; 9] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8];
/// The most digits of a number for the quick way.
const PLAIN_DIGITS_MAX: usize = 15;

/// Reads a text as a real: `sqlite3AtoF`. A NUL ends it.
pub(super) fn parse_real(text: &[u8]) -> RealText {
    plain_real(text).unwrap_or_else(|| any_real(text))
}

/// The same of a few digits with or without a point among them, which is what most numbers are. One division of what
/// reals hold exactly gives the nearest real; so does SQLite's arithmetic here, whose error is far below the distance of
/// such a number from the middle between two reals.
fn plain_real(text: &[u8]) -> Option<RealText> {
    let (negative, text) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    if text.len() > PLAIN_DIGITS_MAX {
        return None;
    }
    let (mut digits, mut point) = (0_u64, None);
    for (at, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => digits = digits * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() => point = Some(at),
            _ => return None,
        }
    }
    let places = point.map_or(0, |at| text.len() - at - 1);
    if text.len() == usize::from(point.is_some()) {
        return None;
    }
    let magnitude = digits as f64 / TENS.get(places)?;
    let value = if negative { -magnitude } else { magnitude };
    Some(RealText { value, prefix: true, whole: true, fractional: point.is_some() })
}

fn any_real(text: &[u8]) -> RealText {
    let mut rest = skip_spaces(text);
    let negative = match rest.split_first() {
        Some((b'-', after)) => {
            rest = after;
            true
        }
        Some((b'+', after)) => {
            rest = after;
            false
        }
        _ => false,
    };
    let mut mantissa = Mantissa::default();
    rest = mantissa.whole(rest);
    let mut fractional = false;
    if let Some((b'.', after)) = rest.split_first() {
        rest = mantissa.fraction(after);
        fractional = true;
    }
    // `1.` and `.1` are numbers, `.` is none.
    if !mantissa.seen {
        return RealText { value: 0.0, prefix: false, whole: false, fractional: false };
    }
    if let Some(b'e' | b'E') = rest.first()
        && let Some((exponent, after)) = exponent(rest.get(1..).unwrap_or_default())
    {
        fractional = true;
        mantissa.exponent = mantissa.exponent.saturating_add(exponent);
        rest = after;
    }
    let magnitude = mantissa.real();
    let tail = skip_spaces(rest);
    RealText {
        value: if negative { -magnitude } else { magnitude },
        prefix: true,
        whole: tail.first().is_none_or(|byte| *byte == 0),
        fractional,
    }
}

/// The significant digits of a number that is being read, of which the first 19 or so count.
#[derive(Default)]
struct Mantissa {
    digits: u64,
    exponent: i32,
    /// Whether there was a digit at all.
    seen: bool,
    /// Whether further digits before the point only count.
    full: bool,
}

impl Mantissa {
    fn whole<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = text.split_at_checked(count).unwrap_or((text, &[]));
        digits.iter().for_each(|digit| self.push_whole(*digit));
        rest
    }

    /// A digit before the point. SQLite takes the first one unseen, and leaves the rest alone once the mantissa is full.
    fn push_whole(&mut self, digit: u8) {
        if self.full {
            self.exponent = self.exponent.saturating_add(1);
        } else {
            self.digits = self.digits.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.full = self.seen && self.digits >= MANTISSA_MAX;
        }
        self.seen = true;
    }

    /// A digit behind the point.
    const fn push_fraction(&mut self, digit: u8) {
        if self.digits < MANTISSA_MAX {
            self.digits = self.digits * 10 + (digit - b'0') as u64;
            self.exponent = self.exponent.saturating_sub(1);
        }
        self.seen = true;
    }

    fn real(&self) -> f64 {
        if self.digits == 0 { 0.0 } else { from_decimal(self.digits, self.exponent) }
    }

    fn fraction<'a>(&mut self, text: &'a [u8]) -> &'a [u8] {
        let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = text.split_at_checked(count).unwrap_or((text, &[]));
        digits.iter().for_each(|digit| self.push_fraction(*digit));
        rest
    }
}

/// A real with so many digits behind the point: what `%!.*f` writes, read back.
pub(super) fn rounded(real: f64, digits: usize) -> f64 {
    quickly_rounded(real, digits).unwrap_or_else(|| rounded_by_digits(real, digits))
}

/// Below this a product is exact to seven digits behind its point.
const QUICK_MAX: f64 = 1e9;
/// So near to the middle between two results only the digits tell which it is.
const MIDDLE: f64 = 1e-6;

/// The same of a number that is not too large, and not too near to the middle between two results. As in
/// [`plain_real`], one division gives the real that the digits are.
fn quickly_rounded(real: f64, digits: usize) -> Option<f64> {
    let ten = TENS.get(digits)?;
    let scaled = real.abs() * ten;
    if scaled >= QUICK_MAX {
        return None;
    }
    let whole = (scaled as i64) as f64;
    let above = scaled - whole - 0.5;
    if above.abs() < MIDDLE {
        return None;
    }
    let magnitude = if above > 0.0 { whole + 1.0 } else { whole } / ten;
    Some(if real < 0.0 { -magnitude } else { magnitude })
}

fn rounded_by_digits(real: f64, digits: usize) -> f64 {
    let decoded = decode(real, -(digits as i64), 20);
    let shown = decoded.digits();
    let before = usize::try_from(decoded.point).unwrap_or(0);
    let mut mantissa = Mantissa::default();
    for at in 0..before.max(1) {
        mantissa.push_whole(if before == 0 { b'0' } else { decoded.get(at) });
    }
    let zeros = usize::try_from(-decoded.point).unwrap_or(0).min(digits);
    let fraction = shown.iter().skip(before).take(digits - zeros);
    let places = fraction.clone().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
    if places == 0 {
        // One digit always stands behind the point.
        mantissa.push_fraction(b'0');
    } else {
        (0..zeros).for_each(|_| mantissa.push_fraction(b'0'));
        fraction.take(places).for_each(|digit| mantissa.push_fraction(*digit));
    }
    let magnitude = mantissa.real();
    if decoded.negative { -magnitude } else { magnitude }
}

/// The exponent behind an `e`, or `None` where no digit follows: then the `e` is text behind the number.
fn exponent(text: &[u8]) -> Option<(i32, &[u8])> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 {
        return None;
    }
    let (digits, rest) = digits.split_at_checked(count)?;
    let value = digits.iter().fold(
        0_i32,
        |value, digit| {
            if value < 10_000 { value * 10 + i32::from(digit - b'0') } else { 10_000 }
        },
    );
    Some((if negative { -value } else { value }, rest))
}

/// How an integer stood in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntegerText {
    /// The whole text is an integer of 64 bits.
    Whole(i64),
    /// A prefix is one, or nothing is (then it is 0).
    Prefix(i64),
    /// No digit at all.
    None,
    /// It does not fit 64 bits; the nearest that does.
    TooLarge(i64),
}

impl IntegerText {
    /// The integer that SQLite takes it for.
    pub(super) const fn value(self) -> i64 {
        match self {
            Self::Whole(value) | Self::Prefix(value) | Self::TooLarge(value) => value,
            Self::None => 0,
        }
    }
}

/// The most digits of an integer that never overflows 64 bits.
const INTEGER_DIGITS_SAFE: usize = 18;

/// Reads a text as an integer: `sqlite3Atoi64`.
#[inline]
pub(super) fn parse_integer(text: &[u8]) -> IntegerText {
    plain_integer(text).map_or_else(|| any_integer(text), IntegerText::Whole)
}

/// The same of a few digits and nothing else, which is what most integers are.
fn plain_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.split_first()? {
        (b'-', rest) => (true, rest),
        _ => (false, text),
    };
    if digits.is_empty() || digits.len() > INTEGER_DIGITS_SAFE {
        return None;
    }
    let mut value = 0_i64;
    for byte in digits {
        if !byte.is_ascii_digit() {
            return None;
        }
        value = value * 10 + i64::from(byte - b'0');
    }
    Some(if negative { -value } else { value })
}

fn any_integer(text: &[u8]) -> IntegerText {
    let text = skip_spaces(text);
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at_checked(count).unwrap_or((digits, &[]));
    if digits.is_empty() {
        return IntegerText::None;
    }
    let magnitude =
        digits.iter().try_fold(0_u64, |value, digit| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    let value = match magnitude {
        Some(magnitude) if magnitude <= i64::MAX as u64 => magnitude as i64,
        Some(magnitude) if negative && magnitude == 1 << 63 => i64::MIN,
        _ => return IntegerText::TooLarge(if negative { i64::MIN } else { i64::MAX }),
    };
    let value = if negative { value.wrapping_neg() } else { value };
    if rest.iter().all(|byte| is_space(*byte)) { IntegerText::Whole(value) } else { IntegerText::Prefix(value) }
}

/// The integer part of a real, bounded to 64 bits: `sqlite3RealToI64`.
pub(super) fn real_to_integer(real: f64) -> i64 {
    if real < -9_223_372_036_854_774_784.0 {
        i64::MIN
    } else if real > 9_223_372_036_854_774_784.0 {
        i64::MAX
    } else {
        real as i64
    }
}

/// An integer as a real.
pub(super) const fn integer_to_real(integer: i64) -> f64 {
    integer as f64
}

/// Whether a real is that integer, within the 51 bits that SQLite trusts: `sqlite3RealSameAsInt`.
pub(super) fn real_is_integer(real: f64, integer: i64) -> bool {
    real == 0.0
        || ((integer as f64).to_bits() == real.to_bits()
            && (-2_251_799_813_685_248..2_251_799_813_685_248).contains(&integer))
}

/// The leading 64 and following 32 bits of 10^`power`: `powerOfTen`.
fn power_of_ten(power: i32) -> (u64, u32) {
    let scale = |at: usize| (SCALE.get(at).copied().unwrap_or(0), SCALE_LOW.get(at).copied().unwrap_or(0));
    let base = |at: usize| BASE.get(at).copied().unwrap_or(0);
    if power == -1 {
        return scale(13);
    }
    if (0..27).contains(&power) {
        return (base(power as usize), 0);
    }
    let (group, rest) = (power.div_euclid(27), power.rem_euclid(27));
    let (high, low) = scale((group + 13) as usize);
    if rest == 0 {
        return (high, low);
    }
    let factor = base(rest as usize);
    let product = (u128::from(high) * u128::from(factor)).wrapping_add((u128::from(low) * u128::from(factor)) >> 32);
    let (high, low) = ((product >> 64) as u64, (product >> 32) as u32);
    if high >> 63 == 0 { ((high << 1) | u64::from(low >> 31), (low << 1) | 1) } else { (high, low) }
}

/// floor(log2(10^power)).
const fn power_of_ten_bits(power: i32) -> i32 {
    (power * 108_853) >> 15
}

/// floor(log10(2^power)).
const fn power_of_two_digits(power: i32) -> i32 {
    (power * 78_913) >> 18
}

/// The real nearest to `digits` · 10^`power`, as near as SQLite comes: `sqlite3Fp10Convert2`.
fn from_decimal(digits: u64, power: i32) -> f64 {
    if power < EXPONENT_MIN {
        return 0.0;
    }
    if power > EXPONENT_MAX {
        return f64::INFINITY;
    }
    let bits = 64 - digits.leading_zeros() as i32;
    let power_bits = power_of_ten_bits(power);
    let mut exponent = 53 - bits - power_bits;
    if exponent > 1074 {
        if exponent >= 1130 {
            return 0.0;
        }
        exponent = 1074;
    }
    let shift = -(exponent - (64 - bits) + power_bits + 3);
    let (mut ten_high, mut ten_low) = power_of_ten(power);
    if ten_low != 0 {
        ten_high = ten_high.wrapping_add(1);
        ten_low = !ten_low;
    }
    let scaled = digits << (64 - bits);
    let product = u128::from(scaled) * u128::from(ten_high);
    let mut high = (product >> 64) as u64;
    let middle = (product as u64 >> 32) as u32;
    let mut sticky = 1;
    if high & ((1_u64 << shift) - 1) == 0 {
        let correction = ((u128::from(scaled) * u128::from(u64::from(ten_low) << 32)) >> 96) as u32;
        sticky = u64::from(middle.wrapping_sub(correction) > 1);
        high = high.wrapping_sub(u64::from(middle < correction));
    }
    let mut unrounded = (high >> shift) | sticky;
    if unrounded >= (1_u64 << 55) - 2 {
        unrounded = (unrounded >> 1) | (unrounded & 1);
        exponent -= 1;
    }
    let mut mantissa = (unrounded + 1 + ((unrounded >> 2) & 1)) >> 2;
    if exponent <= -972 {
        return f64::INFINITY;
    }
    if mantissa & (1 << 52) != 0 {
        mantissa = (mantissa & !(1 << 52)) | (((1075 - exponent) as u64) << 52);
    }
    f64::from_bits(mantissa)
}

/// A real as decimal digits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoded {
    buffer: [u8; 24],
    start: usize,
    len: usize,
    /// Where the decimal point stands: that many digits are before it.
    pub point: i32,
    /// Whether the number is below zero.
    pub negative: bool,
    /// What is no plain number.
    pub special: Special,
}

/// Whether a real is a plain number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// It is.
    Finite,
    /// Infinite.
    Infinite,
    /// Not a number.
    Nan,
}

impl Decoded {
    /// The significant digits in ASCII; none of them where the number is special.
    pub(super) fn digits(&self) -> &[u8] {
        self.buffer.get(self.start..self.start + self.len).unwrap_or_default()
    }

    /// What infinity becomes where it must be a number: 9.0e+999.
    pub(super) fn make_infinity_finite(&mut self) {
        self.buffer = [b'9'; 24];
        self.start = 1;
        self.len = 1;
        self.point = 1_000;
    }

    fn get(&self, at: usize) -> u8 {
        self.digits().get(at).copied().unwrap_or(b'0')
    }

    fn set(&mut self, at: usize, digit: u8) {
        if let Some(slot) = self.buffer.get_mut(self.start + at) {
            *slot = digit;
        }
    }

    fn push_front(&mut self, digit: u8) {
        self.start = self.start.saturating_sub(1);
        self.len += 1;
        self.point += 1;
        self.set(0, digit);
    }

    /// Writes the digits of a mantissa to the end of the buffer.
    fn fill(&mut self, mut mantissa: u64) {
        self.start = self.buffer.len();
        while mantissa > 0 && self.start > 0 {
            self.start -= 1;
            self.set(0, b'0' + (mantissa % 10) as u8);
            mantissa /= 10;
        }
        self.len = self.buffer.len() - self.start;
    }

    /// Rounds to `keep` digits by the digit behind them, half upwards.
    fn round(&mut self, keep: usize) {
        let up = self.get(keep) >= b'5';
        self.len = keep;
        if !up {
            return;
        }
        for at in (0..keep).rev() {
            if self.get(at) != b'9' {
                self.set(at, self.get(at) + 1);
                return;
            }
            self.set(at, b'0');
        }
        self.push_front(b'1');
    }

    /// With 17 digits, fewer are taken where they read back as the same real: 49.47 and not 49.469999999999999.
    fn shortest(&self, real: f64, exponent: i32, keep: usize) -> usize {
        let value = |count: usize| {
            self.digits().iter().take(count).fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'))
        };
        let power = |count: usize| exponent + self.len as i32 - count as i32;
        if self.get(15) == b'9' && self.get(14) == b'9' {
            let count = (0..=14).rev().find(|at| *at == 0 || self.get(at - 1) != b'9').unwrap_or(0);
            if real == from_decimal(value(count) + 1, power(count)) {
                return count + 1;
            }
        } else if self.point >= self.len as i32 || (13..=15).all(|at| self.get(at) == b'0') {
            let count = (1..=13).rev().find(|at| self.get(at - 1) != b'0').unwrap_or(1);
            if real == from_decimal(value(count), power(count)) {
                return count + 1;
            }
        }
        keep
    }
}

/// A real as digits: `sqlite3FpDecode`. A positive `round` counts significant digits, any other the digits behind the
/// point; `digits_max` bounds both.
pub(super) fn decode(real: f64, round: i64, digits_max: i64) -> Decoded {
    let mut out =
        Decoded { buffer: [b'0'; 24], start: 1, len: 1, point: 1, negative: real < 0.0, special: Special::Finite };
    if real == 0.0 {
        return out;
    }
    let real = real.abs();
    if !real.is_finite() {
        out.len = 0;
        out.point = 0;
        out.special = if real.is_nan() { Special::Nan } else { Special::Infinite };
        return out;
    }
    let (mantissa, binary) = normalized(real);
    let significant = if round <= 0 || round >= 18 { 18 } else { round as i32 + 1 };
    let (mantissa, exponent) = to_decimal(mantissa, binary, significant);
    out.fill(mantissa);
    out.point = out.len as i32 + exponent;
    let mut keep = round;
    if round <= 0 {
        keep = i64::from(out.point) - round;
        if keep == 0 && out.get(0) >= b'5' {
            keep = 1;
            out.push_front(b'0');
        }
    }
    let len = out.len as i64;
    if keep > 0 && (keep < len || len > digits_max) {
        let mut keep = keep.min(digits_max) as usize;
        if keep == 17 {
            keep = out.shortest(real, exponent, keep);
        }
        out.round(keep);
    }
    while out.len > 1 && out.get(out.len - 1) == b'0' {
        out.len -= 1;
    }
    out
}

/// A positive real as `mantissa` · 2^`exponent` with the mantissa's highest bit set.
const fn normalized(real: f64) -> (u64, i32) {
    let bits = real.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = bits & 0x000f_ffff_ffff_ffff;
    if exponent == 0 {
        let zeros = fraction.leading_zeros();
        (fraction << zeros, -1074 - zeros as i32)
    } else {
        ((fraction << 11) | (1 << 63), exponent - 1086)
    }
}

/// `mantissa` · 2^`exponent` as decimal with at least `digits` significant digits: `sqlite3Fp2Convert10`.
fn to_decimal(mantissa: u64, exponent: i32, digits: i32) -> (u64, i32) {
    let power = digits - 1 - power_of_two_digits(exponent + 63);
    let (ten, _) = power_of_ten(power);
    let high = ((u128::from(mantissa) * u128::from(ten)) >> 64) as u64;
    let shift = -(exponent + power_of_ten_bits(power) + 1);
    let decimal = if digits == 18 {
        let kept = high >> (shift - 1);
        (kept + ((kept << 1) & 2)) >> 1
    } else {
        high >> shift
    };
    (decimal, -power)
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    #[test]
    fn what_is_no_plain_number_is_read_the_long_way() {
        for text in ["", "-", ".", "-.", "1e3", " 1", "1 ", "+1", "1.2.3", "1234567890123456", "0.123456789", "1\0"] {
            assert_eq!(plain_real(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_only_digits_tell_is_rounded_by_them() {
        for (real, digits) in [(2.675, 2), (0.125, 2), (1e12, 2), (0.5, 9), (1.000_000_5, 6)] {
            assert_eq!(quickly_rounded(real, digits), None, "{real} {digits}");
        }
        assert_eq!(quickly_rounded(-0.001, 2), Some(-0.0));
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(20_000))]
        #[test]
        fn both_ways_round_the_same(
            real in proptest::prop_oneof![
                -1e9..1e9_f64,
                -100.0..100.0_f64,
                (-1_000_000_i64..1_000_000).prop_map(|thousandths| thousandths as f64 / 1000.0),
                proptest::num::f64::ANY,
            ],
            digits in 1..10_usize,
        ) {
            if let Some(rounded) = quickly_rounded(real, digits) {
                proptest::prop_assert_eq!(rounded.to_bits(), rounded_by_digits(real, digits).to_bits());
            }
        }

        #[test]
        fn integers_are_read_the_same_both_ways(text in "[ +-]?[0-9]{0,20}[ .a]?") {
            if let Some(integer) = plain_integer(text.as_bytes()) {
                proptest::prop_assert_eq!(any_integer(text.as_bytes()), IntegerText::Whole(integer));
            }
        }

        #[test]
        fn both_ways_read_the_same(text in "-?[0-9]{0,9}\\.?[0-9]{0,8}") {
            if let Some(read) = plain_real(text.as_bytes()) {
                let long = any_real(text.as_bytes());
                proptest::prop_assert_eq!(read, long);
                proptest::prop_assert_eq!(read.value.to_bits(), long.value.to_bits());
            }
        }
    }
}
