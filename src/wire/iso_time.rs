//! Times written as ISO 8601, and calendars of UTC.

use crate::observation::RejectReason;
use crate::units::{Timestamp, civil_ms};

use super::gather::Record;

/// Milliseconds of a day.
pub(super) const DAY_MS: i64 = 86_400_000;

/// Reads `2021-01-08T02:03:41.907Z`, the fraction optional, always UTC.
pub(super) fn parse(text: &str) -> Record<Timestamp> {
    fields(text)
        .map(Timestamp::from_millis)
        .ok_or(RejectReason::Malformed)
}

fn fields(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let three = |text: &str, separator| {
        let mut parts = text.split(separator).map(|part| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit())
                .then_some(())?;
            part.parse::<i64>().ok()
        });
        let three = [parts.next()??, parts.next()??, parts.next()??];
        parts.next().is_none().then_some(three)
    };
    let digits = fraction.get(..fraction.len().min(3))?;
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = format!("{digits:0<3}").parse::<i64>().ok()?;
    Some(civil_ms(three(date, '-')?, three(time, ':')?)? + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_times_are_read() {
        // `date -u -d 2021-01-08T02:03:41Z +%s`
        let check = |text, expected: Option<i64>| {
            assert_eq!(
                parse(text).ok().map(Timestamp::as_millis),
                expected,
                "{text}"
            );
        };
        check("2021-01-08T02:03:41.907Z", Some(1_610_071_421_907));
        check("2021-01-08T02:03:41Z", Some(1_610_071_421_000));
        check("2021-01-08T02:03:41.9Z", Some(1_610_071_421_900));
        check("2021-02-29T02:03:41Z", None);
        check("2021-01-08T24:03:41Z", None);
        check("2021-01-08 02:03:41Z", None);
        check("", None);
    }
}
