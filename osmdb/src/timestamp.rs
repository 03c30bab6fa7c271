//! Times as OSM writes them.

const SECONDS_PER_DAY: i64 = 86_400;

/// The first second of the year 0 and the last of the year 9999: years have four digits.
pub(crate) const MIN_TIME: i64 = -62_167_219_200;
pub(crate) const MAX_TIME: i64 = 253_402_300_799;

/// Reads a time as OSM files have it, such as `2013-01-01T00:00:00Z`, as seconds since 1970; `None` if it is
/// none.
///
/// Fractions of a second (`.25`) are dropped, offsets (`+01:00`) are applied. A time without `Z` or
/// offset is refused, because it could be any of 24 hours.
///
/// ```
/// use osmdb::parse_timestamp;
/// assert_eq!(parse_timestamp("2013-01-01T00:00:00Z"), Some(1_356_998_400));
/// assert_eq!(parse_timestamp("2013-01-01T01:00:00.25+01:00"), Some(1_356_998_400));
/// assert_eq!(parse_timestamp("2013-01-01T00:00:00"), None);
/// ```
#[must_use]
pub fn parse_timestamp(text: &str) -> Option<i64> {
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

/// Writes seconds since 1970 as a time in UTC such as `2013-01-01T00:00:00Z`, which is ISO 8601; `None` before
/// the year 0 and after the year 9999, because years have four digits.
///
/// ```
/// use osmdb::show_timestamp;
/// assert_eq!(show_timestamp(1_356_998_400).as_deref(), Some("2013-01-01T00:00:00Z"));
/// assert_eq!(show_timestamp(i64::MAX), None);
/// ```
#[must_use]
pub fn show_timestamp(seconds: i64) -> Option<String> {
    if !(MIN_TIME..=MAX_TIME).contains(&seconds) {
        return None;
    }
    let (year, month, day) = date(seconds.div_euclid(SECONDS_PER_DAY));
    let rest = seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    // By hand: a map has thousands of them, and formatting takes a tenth of the time that the whole answer does.
    let mut text = String::with_capacity(20);
    two_digits(&mut text, year / 100);
    for (part, end) in
        [(year % 100, '-'), (month, '-'), (day, 'T'), (hour, ':'), (minute, ':'), (second, 'Z')]
    {
        two_digits(&mut text, part);
        text.push(end);
    }
    Some(text)
}

/// Appends a number below 100.
fn two_digits(text: &mut String, number: i64) {
    let digit = |number: i64| char::from(b'0' + u8::try_from(number % 10).unwrap_or_default());
    text.push(digit(number / 10));
    text.push(digit(number));
}

/// Writes seconds since 1970 as HTTP does, such as `Tue, 01 Jan 2013 00:00:00 GMT`; `None` as for
/// [`show_timestamp`].
#[cfg(feature = "server")]
pub(crate) fn http_date(seconds: i64) -> Option<String> {
    // The first day of 1970 was a Thursday.
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let shown = show_timestamp(seconds)?;
    let since = seconds.div_euclid(SECONDS_PER_DAY);
    let weekday = DAYS.get(usize::try_from(since.rem_euclid(7)).ok()?)?;
    let (year, month, day) = date(since);
    let month = MONTHS.get(usize::try_from(month - 1).ok()?)?;
    Some(format!("{weekday}, {day:02} {month} {year:04} {} GMT", shown.get(11..19)?))
}

/// Returns the day of the Gregorian calendar. Years are counted from March, so that the day that leap
/// years add is the last one: then the months before it have fixed lengths.
fn date(days_since_1970: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    // Days since 1 March of the year 0.
    let days = days_since_1970 + 719_468;
    let (cycle, day) = (days.div_euclid(DAYS_IN_400_YEARS), days.rem_euclid(DAYS_IN_400_YEARS));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (cycle * 400 + year + next_year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_TIME, MIN_TIME, parse_timestamp, show_timestamp};

    proptest! {
        #[test]
        fn times_read_back(seconds in MIN_TIME..=MAX_TIME) {
            prop_assert_eq!(parse_timestamp(&show_timestamp(seconds).unwrap()), Some(seconds));
        }
    }

    #[test]
    fn times_are_shown() {
        for text in
            ["0000-01-01T00:00:00Z", "2000-02-29T12:34:56Z", "2100-03-01T00:00:00Z", "9999-12-31T23:59:59Z"]
        {
            assert_eq!(parse_timestamp(text).and_then(show_timestamp).as_deref(), Some(text));
        }
        assert_eq!(
            [MIN_TIME - 1, MAX_TIME + 1, i64::MIN, i64::MAX].map(show_timestamp),
            [None, None, None, None]
        );
    }

    #[cfg(feature = "server")]
    #[test]
    fn times_are_shown_as_http_does() {
        for (seconds, date) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        ] {
            assert_eq!(super::http_date(seconds).as_deref(), Some(date));
        }
    }

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
