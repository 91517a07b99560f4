//! MQTT topic filters: which messages a route takes.

use thiserror::Error;

/// Why a topic filter is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FilterError {
    /// The filter is empty.
    #[error("a topic filter must not be empty")]
    Empty,
    /// `#` stands before the last level or beside other characters.
    #[error("`#` must be the whole last level of a topic filter")]
    MisplacedHash,
    /// `+` stands beside other characters of its level.
    #[error("`+` must be a whole level of a topic filter")]
    MisplacedPlus,
}

/// Checks that `filter` follows the rules of MQTT 5.0, section 4.7.1.
///
/// # Errors
///
/// Names the rule that is broken.
pub fn check_filter(filter: &str) -> Result<(), FilterError> {
    if filter.is_empty() {
        return Err(FilterError::Empty);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(FilterError::MisplacedHash);
        }
        if level.contains('+') && level != "+" {
            return Err(FilterError::MisplacedPlus);
        }
    }
    Ok(())
}

/// The filter behind a shared subscription `$share/GROUP/FILTER` (MQTT 5.0, section 4.8.2), or
/// `filter` itself.
pub(super) fn without_share(filter: &str) -> &str {
    filter
        .strip_prefix("$share/")
        .and_then(|rest| rest.split_once('/'))
        .map_or(filter, |(_, filter)| filter)
}

/// Whether `topic` matches `filter` by the rules of MQTT 5.0, section 4.7: `+` is any one level,
/// a final `#` any number of levels and the parent itself, and neither matches a first level that
/// begins with `$`. An ill-formed filter matches nothing it should not: see [`check_filter`].
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    let (mut filter, mut topic) = (filter.as_bytes(), topic.as_bytes());
    if topic.first() == Some(&b'$') && filter.first() != Some(&b'$') {
        return false;
    }
    // Both stand at the start of a level here.
    loop {
        match filter {
            [b'#'] => return true,
            [b'+', behind @ ..] => {
                filter = behind;
                let level = topic.iter().position(|byte| *byte == b'/');
                topic = &topic[level.unwrap_or(topic.len())..];
            }
            _ => {
                let pairs = filter.iter().zip(topic);
                let same = pairs.take_while(|(a, b)| a == b && **a != b'/').count();
                (filter, topic) = (&filter[same..], &topic[same..]);
            }
        }
        match (filter, topic) {
            ([], []) | ([b'/', b'#'], []) => return true,
            ([b'/', next_filter @ ..], [b'/', next_topic @ ..]) => {
                (filter, topic) = (next_filter, next_topic);
            }
            _ => return false,
        }
    }
}

/// The level of `topic` that the first `+` of `filter` stands for, where the filter matches: the
/// device id of most topics.
pub fn filter_capture<'a>(filter: &str, topic: &'a str) -> Option<&'a str> {
    let level = filter.split('/').position(|level| level == "+")?;
    topic.split('/').nth(level).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_the_standard_says() {
        let yes = [
            ("sport/tennis/#", "sport/tennis"),
            ("sport/tennis/#", "sport/tennis/player1/ranking"),
            ("#", "a/b"),
            ("+/b", "a/b"),
            ("+/+", "/finance"),
            ("/+", "/finance"),
            ("V2X.RSU.BSM.UP", "V2X.RSU.BSM.UP"),
            ("$SYS/#", "$SYS/broker"),
            (
                "roadcast/v1/vehicle/+/probe/up",
                "roadcast/v1/vehicle/7/probe/up",
            ),
        ];
        for (filter, topic) in yes {
            assert!(
                filter_matches(filter, topic),
                "{filter} should match {topic}"
            );
        }
        let no = [
            ("sport/+", "sport"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/broker", "$SYS/broker"),
            ("a/b", "a/b/c"),
            ("a/+/c", "a/b/d"),
            ("a", "A"),
        ];
        for (filter, topic) in no {
            assert!(
                !filter_matches(filter, topic),
                "{filter} should not match {topic}"
            );
        }
        assert_eq!(without_share("$share/g/a/+"), "a/+");
        assert_eq!(without_share("a/+"), "a/+");
    }

    #[test]
    fn the_first_plus_names_the_device() {
        let check = |filter, topic, device| assert_eq!(filter_capture(filter, topic), device);
        check(
            "V2X/RADAR/+/TRACK/UP",
            "V2X/RADAR/N22W75/TRACK/UP",
            Some("N22W75"),
        );
        check("V2X.RSU.BSM.UP", "V2X.RSU.BSM.UP", None);
        check("+/+/x", "a/b/x", Some("a"));
    }

    #[test]
    fn ill_formed_filters_are_named() {
        assert_eq!(check_filter(""), Err(FilterError::Empty));
        assert_eq!(check_filter("a/#/b"), Err(FilterError::MisplacedHash));
        assert_eq!(check_filter("a#"), Err(FilterError::MisplacedHash));
        assert_eq!(check_filter("a+/b"), Err(FilterError::MisplacedPlus));
        assert_eq!(check_filter("a/+/#"), Ok(()));
    }
}
