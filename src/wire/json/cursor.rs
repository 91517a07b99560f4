//! A cursor over JSON bytes: grammar only, no meaning.

use crate::observation::RejectReason;

/// Deepest nesting of arrays and objects that is still walked over.
const DEPTH_MAX: u32 = 64;

/// Powers of ten that a double holds exactly.
const POWERS_OF_TEN: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

type Walked<T> = Result<T, RejectReason>;

/// A position in a payload. Methods leave it behind what they read; after an error it is useless.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: u32,
}

/// A JSON string between its quotes, escapes checked but not yet resolved.
#[derive(Clone, Copy)]
pub(super) struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            depth: 0,
        }
    }

    pub(super) fn at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    #[inline]
    fn next(&mut self) -> Walked<u8> {
        let byte = self.peek().ok_or(RejectReason::Truncated)?;
        self.at += 1;
        Ok(byte)
    }

    #[inline]
    fn expect(&mut self, wanted: u8) -> Walked<()> {
        if self.next()? == wanted {
            Ok(())
        } else {
            Err(RejectReason::Malformed)
        }
    }

    fn descend(&mut self) -> Walked<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(RejectReason::Malformed);
        }
        Ok(())
    }

    /// Reads an object; `member` must read each value.
    #[inline]
    pub(super) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> Walked<()>,
    ) -> Walked<()> {
        self.expect(b'{')?;
        self.descend()?;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
        } else {
            loop {
                let key = self.text()?;
                self.skip_space();
                self.expect(b':')?;
                self.skip_space();
                member(self, key)?;
                self.skip_space();
                match self.next()? {
                    b',' => self.skip_space(),
                    b'}' => break,
                    _ => return Err(RejectReason::Malformed),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads an array; `element` must read each value.
    #[inline]
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Walked<()>) -> Walked<()> {
        self.expect(b'[')?;
        self.descend()?;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
        } else {
            loop {
                element(self)?;
                self.skip_space();
                match self.next()? {
                    b',' => self.skip_space(),
                    b']' => break,
                    _ => return Err(RejectReason::Malformed),
                }
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// Reads a string.
    #[inline]
    pub(super) fn text(&mut self) -> Walked<Text<'a>> {
        self.expect(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.next()? {
                b'"' => {
                    return Ok(Text {
                        raw: &self.bytes[start..self.at - 1],
                        escaped,
                    });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                0..0x20 => return Err(RejectReason::Malformed),
                _ => {}
            }
        }
    }

    /// Checks what follows a backslash.
    fn escape(&mut self) -> Walked<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    if !self.next()?.is_ascii_hexdigit() {
                        return Err(RejectReason::Malformed);
                    }
                }
                Ok(())
            }
            _ => Err(RejectReason::Malformed),
        }
    }

    /// Adds the digits that follow to `mantissa` (wrapping) and returns how many there are.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let start = self.at;
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            *mantissa = mantissa
                .wrapping_mul(10)
                .wrapping_add(u64::from(byte - b'0'));
            self.at += 1;
        }
        self.at - start
    }

    /// What to say where a digit is missing.
    fn no_digit(&self) -> RejectReason {
        if self.at_end() {
            RejectReason::Truncated
        } else {
            RejectReason::Malformed
        }
    }

    /// Reads a number to the nearest double (infinite where it is too large for one).
    #[inline]
    pub(super) fn number(&mut self) -> Walked<f64> {
        let start = self.at;
        let negative = self.peek() == Some(b'-');
        self.at += usize::from(negative);
        let mut mantissa = 0;
        let leading_zero = self.peek() == Some(b'0');
        let mut digit_count = self.digits(&mut mantissa);
        if digit_count == 0 {
            return Err(self.no_digit());
        }
        if leading_zero && digit_count > 1 {
            return Err(RejectReason::Malformed);
        }
        let mut fraction_digits = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            fraction_digits = self.digits(&mut mantissa);
            if fraction_digits == 0 {
                return Err(self.no_digit());
            }
            digit_count += fraction_digits;
        }
        let mut is_plain = true;
        if let Some(b'e' | b'E') = self.peek() {
            is_plain = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits(&mut 0) == 0 {
                return Err(self.no_digit());
            }
        }
        // Both operands are exact, so the quotient is the nearest double (Clinger 1990).
        if is_plain && digit_count <= 19 && mantissa <= 1 << 53 && fraction_digits <= 22 {
            let magnitude = mantissa as f64 / POWERS_OF_TEN[fraction_digits];
            return Ok(if negative { -magnitude } else { magnitude });
        }
        str::from_utf8(&self.bytes[start..self.at])
            .ok()
            .and_then(|token| token.parse().ok())
            .ok_or(RejectReason::Malformed)
    }

    /// Reads a number and returns its characters.
    pub(super) fn number_token(&mut self) -> Walked<&'a [u8]> {
        let start = self.at;
        self.number()?;
        Ok(&self.bytes[start..self.at])
    }

    fn literal(&mut self, word: &[u8]) -> Walked<()> {
        word.iter().try_for_each(|byte| self.expect(*byte))
    }

    /// Reads any value and forgets it.
    pub(super) fn skip_value(&mut self) -> Walked<()> {
        match self.peek().ok_or(RejectReason::Truncated)? {
            b'"' => self.text().map(|_| ()),
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b'{' => self.object(|cursor, _| cursor.skip_value()),
            b'[' => self.array(Self::skip_value),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(RejectReason::Malformed),
        }
    }
}

impl<'a> Text<'a> {
    /// Whether the text is `word` (which needs no escapes).
    pub(super) fn is(self, word: &[u8]) -> bool {
        !self.escaped && self.raw == word
    }

    /// The text itself, resolved into `buffer` where it has escapes; `None` when it is longer than
    /// the buffer then or holds half a surrogate pair.
    #[inline]
    pub(super) fn unescape<'b>(self, buffer: &'b mut [u8]) -> Option<&'b [u8]>
    where
        'a: 'b,
    {
        if self.escaped {
            unescape(self.raw, buffer)
        } else {
            Some(self.raw)
        }
    }
}

#[cold]
fn unescape<'b>(raw: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut length = 0;
    let mut put = |bytes: &[u8]| {
        let place = buffer.get_mut(length..length + bytes.len())?;
        place.copy_from_slice(bytes);
        length += bytes.len();
        Some(())
    };
    let mut rest = raw.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            put(&[byte])?;
            continue;
        }
        let simple = match rest.next()? {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut utf8 = [0; 4];
                put(code_point(&mut rest)?.encode_utf8(&mut utf8).as_bytes())?;
                continue;
            }
            other => other,
        };
        put(&[simple])?;
    }
    Some(&buffer[..length])
}

/// The character of `XXXX` or of the surrogate pair `XXXX\uXXXX` (behind the first `\u`).
fn code_point(rest: &mut impl Iterator<Item = u8>) -> Option<char> {
    let high = hex4(rest)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high);
    }
    if rest.next()? != b'\\' || rest.next()? != b'u' {
        return None;
    }
    let low = hex4(rest)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + low)
}

fn hex4(rest: &mut impl Iterator<Item = u8>) -> Option<u32> {
    (0..4).try_fold(0, |value, _| {
        Some(value << 4 | char::from(rest.next()?).to_digit(16)?)
    })
}
