//! Times as OSM writes them.

const SECONDS_PER_DAY: i64 = 86_400;

/// Reads a time such as `2013-01-01T00:00:00Z` as seconds since 1970.
///
/// Fractions of a second (`.25`) are dropped, offsets (`+01:00`) are applied. A time without `Z` or
/// offset is refused, because it could be any of 24 hours.
pub(super) fn parse_timestamp(text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let year = number(&mut rest, 4)?;
    symbol(&mut rest, b'-')?;
    let month = number(&mut rest, 2)?;
    symbol(&mut rest, b'-')?;
    let day = number(&mut rest, 2)?;
    symbol(&mut rest, b'T')?;
    let time = minutes(&mut rest)?;
    symbol(&mut rest, b':')?;
    let second = number(&mut rest, 2).filter(|second| *second < 60)?;
    if symbol(&mut rest, b'.').is_some() {
        number(&mut rest, 1)?;
        while number(&mut rest, 1).is_some() {}
    }
    let offset = offset(&mut rest)?;
    let seconds = days_since_1970(year, month, day)? * SECONDS_PER_DAY + (time - offset) * 60 + second;
    rest.is_empty().then_some(seconds)
}

/// Reads `hh:mm` as minutes.
fn minutes(rest: &mut &[u8]) -> Option<i64> {
    let hour = number(rest, 2).filter(|hour| *hour < 24)?;
    symbol(rest, b':')?;
    let minute = number(rest, 2).filter(|minute| *minute < 60)?;
    Some(hour * 60 + minute)
}

/// Reads `Z`, `+hh:mm` or `-hh:mm` as minutes east.
fn offset(rest: &mut &[u8]) -> Option<i64> {
    if symbol(rest, b'Z').is_some() {
        return Some(0);
    }
    if symbol(rest, b'+').is_some() {
        return minutes(rest);
    }
    symbol(rest, b'-')?;
    minutes(rest).map(|minutes| -minutes)
}

/// Reads so many digits, at most four.
fn number(rest: &mut &[u8], digits: usize) -> Option<i64> {
    let (text, left) = rest.split_at_checked(digits)?;
    let mut number = 0;
    for byte in text {
        number = number * 10 + i64::from(byte.is_ascii_digit().then(|| byte - b'0')?);
    }
    *rest = left;
    Some(number)
}

fn symbol(rest: &mut &[u8], expected: u8) -> Option<()> {
    let (first, left) = rest.split_first()?;
    (*first == expected).then(|| *rest = left)
}

/// Counts days in the Gregorian calendar. The year has four digits, so nothing here overflows.
fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    const DAYS_TO_1970: i64 = 719_528;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    months.get(before).filter(|length| (1..=**length).contains(&day))?;
    let days_before: i64 = months.iter().take(before).sum();
    // Leap days of the years before this one; year 0 was a leap year.
    let past = year - 1;
    let leap_days = past.div_euclid(4) - past.div_euclid(100) + past.div_euclid(400) + 1;
    Some(year * 365 + leap_days + days_before + day - 1 - DAYS_TO_1970)
}

#[cfg(test)]
mod tests {
    use super::parse_timestamp;

    #[test]
    fn times_are_seconds() {
        let cases = [
            ("1970-01-01T00:00:00Z", 0),
            ("2013-01-01T00:00:00Z", 1_356_998_400),
            ("2000-02-29T12:34:56Z", 951_827_696),
            ("2013-01-01T00:00:00.999Z", 1_356_998_400),
            ("2013-01-01T01:30:00+01:30", 1_356_998_400),
            ("2012-12-31T19:00:00.5-05:00", 1_356_998_400),
            ("1969-12-31T23:59:59Z", -1),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("0000-01-01T00:00:00Z", -62_167_219_200),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
        ];
        for (text, seconds) in cases {
            assert_eq!(parse_timestamp(text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let wrong = [
            "",
            "2013-01-01",
            "2013-01-01T00:00:00",
            "2013-01-01 00:00:00Z",
            "2013-1-1T00:00:00Z",
            "2013-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2013-00-01T00:00:00Z",
            "2013-13-01T00:00:00Z",
            "2013-01-00T00:00:00Z",
            "2013-04-31T00:00:00Z",
            "2013-01-01T24:00:00Z",
            "2013-01-01T00:60:00Z",
            "2013-01-01T00:00:60Z",
            "2013-01-01T00:00:00.Z",
            "2013-01-01T00:00:00ZZ",
            "2013-01-01T00:00:00+0100",
            "+013-01-01T00:00:00Z",
            "２013-01-01T00:00:00Z",
        ];
        for text in wrong {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }
}
