//! Random values of any message type, for tests: a rasn decoder that reads no encoding but draws.
//!
//! Every member is drawn from a sequence of choices within its constraints, so that proptest
//! shrinks the choices and the value with them; without choices left, all is at its smallest.

use proptest::prelude::*;
use rasn::de::Error as _;
use rasn::error::DecodeError;
use rasn::prelude::*;
use rasn::types::variants::Variants;
use rasn::types::{
    Any, BmpString, Constructed, Date, DecodeChoice, Enumerated, GeneralString, GraphicString,
    IntegerType, NumericString, PrintableString, TeletexString, VisibleString,
};

/// Any value of `T`.
pub(crate) fn any_of<T: Decode + std::fmt::Debug>() -> impl Strategy<Value = T> {
    proptest::collection::vec(any::<u16>(), 0..600)
        .prop_map(|choices| drawn(&choices).expect("every type of the message set can be drawn"))
}

/// The value of `T` that `choices` lead to.
pub(crate) fn drawn<T: Decode>(choices: &[u16]) -> Result<T, DecodeError> {
    T::decode(&mut Draw { choices })
}

struct Draw<'a> {
    choices: &'a [u16],
}

impl Draw<'_> {
    fn choice(&mut self) -> u64 {
        let Some((first, rest)) = self.choices.split_first() else {
            return 0;
        };
        self.choices = rest;
        u64::from(*first)
    }

    /// A number in `low..=high`: one of the ends every eighth time.
    fn within(&mut self, low: i128, high: i128) -> i128 {
        let choice = self.choice();
        let span = high - low + 1;
        match choice % 16 {
            0 => low,
            1 => high,
            _ if span <= 4096 => low + i128::from(choice / 16) % span,
            _ => low + (i128::from(choice / 16) << 24 | i128::from(self.choice()) << 8) % span,
        }
    }

    /// A length within the size constraint, mostly short.
    fn length(&mut self, constraints: &Constraints) -> usize {
        let (low, high) = match constraints.size() {
            Some(size) => {
                let (low, high) = size.constraint.start_and_end();
                (low.copied().unwrap_or(0), high.copied().unwrap_or(300))
            }
            None => (0, 300),
        };
        let short = high.min(low + 3);
        let high = if self.choice() % 32 == 1 { high } else { short };
        self.within(low as i128, high as i128) as usize
    }

    fn text(&mut self, constraints: &Constraints) -> Vec<u8> {
        let length = self.length(constraints);
        (0..length).map(|_| self.within(0, 127) as u8).collect()
    }
}

fn unused<T>() -> Result<T, DecodeError> {
    Err(DecodeError::custom(
        "not in the message set",
        rasn::Codec::Uper,
    ))
}

/// The methods for types that the message set does not have.
macro_rules! unused {
    ($($name:ident($($argument:ty),*) -> $output:ty;)*) => {
        $(fn $name(&mut self, $(_: $argument),*) -> Result<$output, DecodeError> {
            unused()
        })*
    };
}

impl rasn::Decoder for Draw<'_> {
    type Ok = ();
    type Error = DecodeError;
    type AnyDecoder<const R: usize, const E: usize> = Self;

    fn codec(&self) -> rasn::Codec {
        rasn::Codec::Uper
    }

    fn decode_bool(&mut self, _: Tag) -> Result<bool, DecodeError> {
        Ok(self.choice() % 2 == 1)
    }

    fn decode_integer<I: IntegerType>(
        &mut self,
        _: Tag,
        constraints: &Constraints,
    ) -> Result<I, DecodeError> {
        let Some(value) = constraints.value() else {
            return unused();
        };
        let (Some(low), Some(high)) = value.constraint.start_and_end() else {
            return unused();
        };
        let drawn = self.within(*low, *high);
        I::try_from(drawn).map_err(|_beyond| DecodeError::custom(drawn, rasn::Codec::Uper))
    }

    fn decode_enumerated<E: Enumerated>(&mut self, _: Tag) -> Result<E, DecodeError> {
        let variants = E::VARIANTS;
        Ok(variants[self.choice() as usize % variants.len()])
    }

    fn decode_bit_string(
        &mut self,
        _: Tag,
        constraints: &Constraints,
    ) -> Result<BitString, DecodeError> {
        let length = self.length(constraints);
        // An extensible size may be exceeded.
        let more = constraints.extensible() && self.choice() % 8 == 1;
        let length = length + if more { self.within(1, 9) as usize } else { 0 };
        Ok((0..length).map(|_| self.choice() % 2 == 1).collect())
    }

    fn decode_octet_string<'b, T: From<Vec<u8>> + From<&'b [u8]>>(
        &'b mut self,
        _: Tag,
        constraints: &Constraints,
    ) -> Result<T, DecodeError> {
        let length = self.length(constraints);
        let octets: Vec<u8> = (0..length).map(|_| self.choice() as u8).collect();
        Ok(T::from(octets))
    }

    fn decode_ia5_string(
        &mut self,
        _: Tag,
        constraints: &Constraints,
    ) -> Result<Ia5String, DecodeError> {
        let text = self.text(constraints);
        Ia5String::from_iso646_bytes(&text)
            .map_err(|error| DecodeError::custom(error, rasn::Codec::Uper))
    }

    fn decode_sequence<const RC: usize, const EC: usize, D, DF, F>(
        &mut self,
        _: Tag,
        _: Option<DF>,
        decode_fn: F,
    ) -> Result<D, DecodeError>
    where
        D: Constructed<RC, EC>,
        DF: FnOnce() -> D,
        F: FnOnce(&mut Self) -> Result<D, DecodeError>,
    {
        decode_fn(self)
    }

    fn decode_sequence_of<D: Decode>(
        &mut self,
        _: Tag,
        constraints: &Constraints,
    ) -> Result<Vec<D>, DecodeError> {
        let length = self.length(constraints);
        (0..length).map(|_| D::decode(self)).collect()
    }

    fn decode_choice<D: DecodeChoice>(&mut self, _: &Constraints) -> Result<D, DecodeError> {
        let trees = [D::VARIANTS, D::EXTENDED_VARIANTS.unwrap_or(&[])].concat();
        let variants = Variants::from_slice(&trees);
        let tag = variants[self.choice() as usize % variants.len()];
        D::from_tag(self, tag)
    }

    fn decode_optional<D: Decode>(&mut self) -> Result<Option<D>, DecodeError> {
        self.decode_optional_with_constraints(&D::CONSTRAINTS)
    }

    fn decode_optional_with_tag<D: Decode>(&mut self, _: Tag) -> Result<Option<D>, DecodeError> {
        self.decode_optional_with_constraints(&D::CONSTRAINTS)
    }

    fn decode_optional_with_constraints<D: Decode>(
        &mut self,
        constraints: &Constraints,
    ) -> Result<Option<D>, DecodeError> {
        self.decode_optional_with_tag_and_constraints(D::TAG, constraints)
    }

    fn decode_optional_with_tag_and_constraints<D: Decode>(
        &mut self,
        tag: Tag,
        constraints: &Constraints,
    ) -> Result<Option<D>, DecodeError> {
        if self.choice().is_multiple_of(2) {
            return Ok(None);
        }
        Ok(Some(D::decode_with_tag_and_constraints(
            self,
            tag,
            constraints,
        )?))
    }

    fn decode_extension_addition_with_tag_and_constraints<D: Decode>(
        &mut self,
        tag: Tag,
        constraints: &Constraints,
    ) -> Result<Option<D>, DecodeError> {
        self.decode_optional_with_tag_and_constraints(tag, &D::CONSTRAINTS.intersect(*constraints))
    }

    unused! {
        decode_any(Tag) -> Any;
        decode_null(Tag) -> ();
        decode_object_identifier(Tag) -> ObjectIdentifier;
        decode_utf8_string(Tag, &Constraints) -> Utf8String;
        decode_visible_string(Tag, &Constraints) -> VisibleString;
        decode_general_string(Tag, &Constraints) -> GeneralString;
        decode_graphic_string(Tag, &Constraints) -> GraphicString;
        decode_printable_string(Tag, &Constraints) -> PrintableString;
        decode_numeric_string(Tag, &Constraints) -> NumericString;
        decode_teletex_string(Tag, &Constraints) -> TeletexString;
        decode_bmp_string(Tag, &Constraints) -> BmpString;
        decode_utc_time(Tag) -> UtcTime;
        decode_generalized_time(Tag) -> GeneralizedTime;
        decode_date(Tag) -> Date;
    }

    fn decode_real<R: rasn::types::RealType>(
        &mut self,
        _: Tag,
        _: &Constraints,
    ) -> Result<R, DecodeError> {
        unused()
    }

    fn decode_set_of<D: Decode + Eq + std::hash::Hash>(
        &mut self,
        _: Tag,
        _: &Constraints,
    ) -> Result<SetOf<D>, DecodeError> {
        unused()
    }

    fn decode_explicit_prefix<D: Decode>(&mut self, _: Tag) -> Result<D, DecodeError> {
        D::decode(self)
    }

    fn decode_optional_with_explicit_prefix<D: Decode>(
        &mut self,
        _: Tag,
    ) -> Result<Option<D>, DecodeError> {
        self.decode_optional()
    }

    fn decode_set<const RC: usize, const EC: usize, FIELDS, SET, D, F>(
        &mut self,
        _: Tag,
        _: D,
        _: F,
    ) -> Result<SET, DecodeError>
    where
        SET: Decode + Constructed<RC, EC>,
        FIELDS: Decode,
        D: Fn(&mut Self, usize, Tag) -> Result<FIELDS, DecodeError>,
        F: FnOnce(Vec<FIELDS>) -> Result<SET, DecodeError>,
    {
        unused()
    }

    fn decode_extension_addition_with_explicit_tag_and_constraints<D: Decode>(
        &mut self,
        tag: Tag,
        constraints: &Constraints,
    ) -> Result<Option<D>, DecodeError> {
        self.decode_extension_addition_with_tag_and_constraints(tag, constraints)
    }

    fn decode_extension_addition_group<
        const RC: usize,
        const EC: usize,
        D: Decode + Constructed<RC, EC>,
    >(
        &mut self,
    ) -> Result<Option<D>, DecodeError> {
        unused()
    }
}
