//! Signal states by the codes of the systems that control them.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use thiserror::Error;

use crate::observation::Light;

/// Tab-separated lines of system, code and light: those that are public.
const PUBLIC: &str = include_str!("light_codes.tsv");

/// Most codes of one table: far above all systems together.
pub const LIGHT_CODES_MAX: usize = 10_000;

/// Why a table of signal codes cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LightCodesError {
    /// Not three cells, a code that is no number, or an unknown light.
    #[error("line {line}: {text:?} is not a system, a code and a light, separated by tabs")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// The same code twice with different lights.
    #[error("line {line}: {system} {code} is given another light already")]
    Contradiction {
        /// Number of the line, from 1.
        line: usize,
        /// The system.
        system: String,
        /// The code.
        code: u64,
    },
    /// More than [`LIGHT_CODES_MAX`] codes.
    #[error("more than {LIGHT_CODES_MAX} codes")]
    TooMany,
}

/// What the codes of each system (`csae53`, `gbt20999`, `gat1049`, or any other name) show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LightCodes(BTreeMap<String, BTreeMap<u64, Light>>);

impl LightCodes {
    /// The codes that are public.
    pub fn public() -> &'static Self {
        static CODES: OnceLock<LightCodes> = OnceLock::new();
        CODES.get_or_init(|| {
            let empty = Self(BTreeMap::new());
            empty.with(PUBLIC).expect("the table is checked by a test")
        })
    }

    /// The public codes and those of `text`: a line each of system, code and light (as
    /// `protected_green`), separated by tabs; empty lines and those with `#` are skipped.
    ///
    /// # Errors
    /// Names the first line that cannot be used.
    pub fn read(text: &str) -> Result<Self, LightCodesError> {
        let codes = Self::public().clone().with(text)?;
        Ok(codes)
    }

    fn with(mut self, text: &str) -> Result<Self, LightCodesError> {
        let mut count: usize = self.0.values().map(BTreeMap::len).sum();
        for (line, text) in (1..).zip(text.lines()) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let malformed = || LightCodesError::Line {
                line,
                text: text.to_owned(),
            };
            let cells: Vec<&str> = text.split('\t').collect();
            let [system, code, light] = cells[..] else {
                return Err(malformed());
            };
            let code: u64 = code.parse().map_err(|_number| malformed())?;
            let light = Light::ALL.into_iter().find(|known| known.label() == light);
            let light = light.ok_or_else(malformed)?;
            let of_system = self.0.entry(system.to_owned()).or_default();
            match of_system.insert(code, light) {
                Some(other) if other != light => {
                    return Err(LightCodesError::Contradiction {
                        line,
                        system: system.to_owned(),
                        code,
                    });
                }
                Some(_same) => {}
                None => count += 1,
            }
            if count > LIGHT_CODES_MAX {
                return Err(LightCodesError::TooMany);
            }
        }
        Ok(self)
    }

    /// What `code` of `system` shows; `None` where no table has a line for it, which holds for all
    /// codes that are not public.
    pub fn light(&self, system: &str, code: u64) -> Option<Light> {
        self.0.get(system)?.get(&code).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_codes_are_those_of_the_message_set() {
        let codes = LightCodes::public();
        for code in 0..9 {
            assert_eq!(codes.light("csae53", code), Light::from_code(code));
        }
        assert_eq!(codes.light("csae53", 9), None);
        assert_eq!(codes.light("gbt20999", 1), None);
    }

    #[test]
    fn a_site_adds_its_codes_and_contradicts_none() {
        let codes = LightCodes::read("# ours\n\nmaker\t12\tyellow\n").unwrap();
        assert_eq!(codes.light("maker", 12), Some(Light::Yellow));
        assert_eq!(codes.light("csae53", 3), Some(Light::Red));
        let line = |text: &str| match LightCodes::read(text) {
            Err(LightCodesError::Line { line, .. }) => line,
            other => panic!("{other:?}"),
        };
        assert_eq!(line("maker\t12\n"), 1);
        assert_eq!(line("#\nmaker\ttwelve\tred\n"), 2);
        assert_eq!(line("maker\t1\tblue\n"), 1);
        assert!(matches!(
            LightCodes::read("csae53\t3\tyellow\n"),
            Err(LightCodesError::Contradiction {
                line: 1,
                code: 3,
                ..
            })
        ));
    }
}
