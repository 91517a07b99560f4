//! Reads large XML files element by element: each child of the root as one small tree.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::NetworkError;

/// The deepest an element may lie; deeper files are refused rather than followed.
const DEPTH_MAX: usize = 64;

/// One element with all that it holds.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) name: String,
    /// Line of the input on which its tag ends, for messages.
    pub(super) line: usize,
    pub(super) children: Vec<Element>,
    /// Its own text, the pieces joined.
    pub(super) text: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn of(start: &BytesStart<'_>, line: usize) -> Result<Self, String> {
        let attributes = start
            .attributes()
            .map(|attribute| {
                let attribute = attribute.map_err(|error| error.to_string())?;
                let value = attribute
                    .normalized_value(XmlVersion::Implicit1_0)
                    .map_err(|error| error.to_string())?;
                Ok((attribute.key.into_inner().to_owned(), value.into_owned()))
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self {
            name: start.name().as_ref().to_owned(),
            line,
            attributes,
            ..Self::default()
        })
    }

    /// The children of one name, in order.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of a name.
    pub(super) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// An attribute, unescaped.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// An attribute that must be there.
    pub(super) fn required(&self, key: &str) -> Result<&str, Problem> {
        self.get(key)
            .ok_or_else(|| self.problem(format!("<{}> has no {key}", self.name)))
    }

    /// An attribute that must be a finite number.
    pub(super) fn number(&self, key: &str) -> Result<f64, Problem> {
        self.finite(key, self.required(key)?)
    }

    /// An attribute that must be a finite number where it is there.
    pub(super) fn number_or(&self, key: &str, default: f64) -> Result<f64, Problem> {
        match self.get(key) {
            Some(text) => self.finite(key, text),
            None => Ok(default),
        }
    }

    fn finite(&self, key: &str, text: &str) -> Result<f64, Problem> {
        text.trim()
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| self.problem(format!("<{}> {key} {text:?} is not a number", self.name)))
    }

    /// An attribute that must be an integer.
    pub(super) fn integer<T>(&self, key: &str) -> Result<T, Problem>
    where
        T: std::str::FromStr<Err = std::num::ParseIntError>,
    {
        let text = self.required(key)?;
        text.parse()
            .map_err(|error| self.problem(format!("<{}> {key} {text:?}: {error}", self.name)))
    }

    /// A problem of this element.
    pub(super) fn problem(&self, text: String) -> Problem {
        Problem {
            line: self.line,
            text,
        }
    }
}

/// What is wrong, and on which line.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) line: usize,
    pub(super) text: String,
}

/// Hands over the root without its children, then each of its children, in order.
///
/// # Errors
/// When the text is no whole XML document with that root, or with what `take` objects to.
pub(super) fn read(
    input: &str,
    text: &str,
    root: &str,
    take: &mut impl FnMut(Element) -> Result<(), Problem>,
) -> Result<(), NetworkError> {
    let mut lines = Lines {
        text,
        counted: 0,
        line: 1,
    };
    let mut reader = Reader::from_str(text);
    let mut open: Vec<Element> = Vec::new();
    let mut begun = false;
    let malformed = |problem: Problem| NetworkError::Malformed {
        input: input.to_owned(),
        place: format!("line {}", problem.line),
        problem: problem.text,
    };
    loop {
        let line = lines.up_to(reader.buffer_position() as usize);
        let fault = |text: String| malformed(Problem { line, text });
        let event = match reader.read_event() {
            Ok(event) => event,
            Err(error) => {
                let line = lines.up_to(reader.error_position() as usize);
                let text = error.to_string();
                return Err(malformed(Problem { line, text }));
            }
        };
        match event {
            Event::Start(start) => {
                let element = Element::of(&start, line).map_err(fault)?;
                if !begun && element.name != root {
                    return Err(fault(format!(
                        "root element <{}> is not <{root}>",
                        element.name
                    )));
                }
                if open.is_empty() && begun {
                    return Err(fault(format!("<{}> after </{root}>", element.name)));
                }
                if open.len() >= DEPTH_MAX {
                    return Err(fault(format!(
                        "<{}> lies deeper than {DEPTH_MAX}",
                        element.name
                    )));
                }
                if begun {
                    open.push(element);
                } else {
                    begun = true;
                    open.push(Element::default());
                    take(element).map_err(malformed)?;
                }
            }
            Event::Empty(start) => {
                let element = Element::of(&start, line).map_err(fault)?;
                close(element, &mut open, take).map_err(malformed)?;
            }
            Event::End(_) => {
                if let Some(element) = open.pop() {
                    close(element, &mut open, take).map_err(malformed)?;
                }
            }
            Event::Text(piece) => keep_text(&mut open, &piece.xml10_content()),
            Event::CData(piece) => keep_text(&mut open, &piece.xml10_content()),
            Event::Eof if begun && open.is_empty() => return Ok(()),
            Event::Eof => return Err(fault(format!("ends before </{root}>"))),
            _ => {}
        }
    }
}

/// Puts a finished element where it belongs; the root itself was handed over when it began.
fn close(
    element: Element,
    open: &mut [Element],
    take: &mut impl FnMut(Element) -> Result<(), Problem>,
) -> Result<(), Problem> {
    match open {
        [] => {}
        [_root] => take(element)?,
        [.., parent] => parent.children.push(element),
    }
    Ok(())
}

/// Keeps the text of elements; that between the root's children means nothing.
fn keep_text(open: &mut [Element], piece: &str) {
    if let [_root, .., element] = open {
        element.text.push_str(piece.trim());
    }
}

/// Counts lines as reading goes on.
struct Lines<'a> {
    text: &'a str,
    counted: usize,
    line: usize,
}

impl Lines<'_> {
    fn up_to(&mut self, at: usize) -> usize {
        let at = at.min(self.text.len());
        if let Some(passed) = self.text.as_bytes().get(self.counted..at) {
            self.line += passed.iter().filter(|&&byte| byte == b'\n').count();
            self.counted = at;
        }
        self.line
    }
}
