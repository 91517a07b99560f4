//! A JSON writer for large arrays of numbers: appends to one buffer, fixed decimals, no reflection.

use std::io::Write as _;

/// Bytes of JSON under construction. The caller keeps the punctuation right; tests parse it back.
#[derive(Debug, Default)]
pub(crate) struct JsonBuffer(Vec<u8>);

/// Ten to the number of decimals that [`JsonBuffer::fixed2`] writes.
const HUNDRED: f64 = 100.0;

impl JsonBuffer {
    /// An empty buffer that holds `bytes` without growing.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends text that is JSON already.
    pub(crate) fn raw(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// Appends bytes that are JSON already.
    pub(crate) fn raw_bytes(&mut self, json: &[u8]) {
        self.0.extend_from_slice(json);
    }

    /// Appends a whole number.
    pub(crate) fn int(&mut self, value: i64) {
        if value < 0 {
            self.0.push(b'-');
        }
        self.digits(value.unsigned_abs());
    }

    /// Appends a number with at most two decimals, rounded; what is not finite becomes `null`.
    pub(crate) fn fixed2(&mut self, value: f32) {
        if !value.is_finite() {
            self.raw("null");
            return;
        }
        let hundredths = (f64::from(value) * HUNDRED).round() as i64;
        if hundredths < 0 {
            self.0.push(b'-');
        }
        let hundredths = hundredths.unsigned_abs();
        self.digits(hundredths / 100);
        let rest = (hundredths % 100) as u8;
        if rest != 0 {
            self.0.push(b'.');
            self.0.push(b'0' + rest / 10);
            if !rest.is_multiple_of(10) {
                self.0.push(b'0' + rest % 10);
            }
        }
    }

    /// Appends a coordinate in degrees with six decimals (0.1 m).
    pub(crate) fn degrees(&mut self, value: f64) {
        write!(self.0, "{value:.6}").expect("writing to a vector cannot fail");
    }

    /// Appends a string with quotes and escapes.
    pub(crate) fn string(&mut self, text: &str) {
        serde_json::to_writer(&mut self.0, text).expect("a string is always valid JSON");
    }

    /// How many bytes stand here.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes.
    pub(crate) fn into_bytes(self) -> bytes::Bytes {
        self.0.into()
    }

    fn digits(&mut self, mut value: u64) {
        let mut digits = [0u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                break;
            }
        }
        self.0.extend_from_slice(&digits[at..]);
    }
}

#[cfg(test)]
mod tests {
    use super::JsonBuffer;

    fn check(write: impl FnOnce(&mut JsonBuffer), expected: &str) {
        let mut json = JsonBuffer::default();
        write(&mut json);
        assert_eq!(json.into_bytes(), expected.as_bytes());
    }

    #[test]
    fn numbers_are_short_and_rounded() {
        check(|json| json.fixed2(0.0), "0");
        check(|json| json.fixed2(13.0), "13");
        check(|json| json.fixed2(13.5), "13.5");
        check(|json| json.fixed2(13.056), "13.06");
        check(|json| json.fixed2(13.999), "14");
        check(|json| json.fixed2(-0.25), "-0.25");
        check(|json| json.fixed2(f32::NAN), "null");
        check(|json| json.int(i64::MIN), "-9223372036854775808");
        check(|json| json.int(0), "0");
        check(|json| json.degrees(114.299_951_2), "114.299951");
    }

    #[test]
    fn strings_are_escaped() {
        check(
            |json| json.string("解放大道 \"A\"\n"),
            "\"解放大道 \\\"A\\\"\\n\"",
        );
    }
}
