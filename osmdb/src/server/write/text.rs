//! Numbers as text, quicker than by formatting.

/// A string that takes numbers.
pub(crate) trait Text {
    /// Appends a number in decimal digits.
    fn push_number(&mut self, number: u64);
    /// Appends a coordinate in degrees with seven decimals, from units of 10⁻⁷ degree.
    fn push_degrees(&mut self, units: i32);
}

impl Text for String {
    fn push_number(&mut self, number: u64) {
        self.push_str(itoa::Buffer::new().format(number));
    }

    fn push_degrees(&mut self, units: i32) {
        const UNITS: u32 = crate::model::UNITS_PER_DEGREE.unsigned_abs();
        if units < 0 {
            self.push('-');
        }
        let units = units.unsigned_abs();
        self.push_number((units / UNITS).into());
        self.push('.');
        // The first digit holds the place of zeros that come first.
        let mut digits = itoa::Buffer::new();
        self.push_str(digits.format(UNITS + units % UNITS).get(1..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Text;
    use crate::model::Degrees;

    proptest! {
        #[test]
        fn numbers_are_as_formatted(number: u64, units in -1_800_000_000..=1_800_000_000_i32) {
            let mut text = String::new();
            text.push_number(number);
            text.push(' ');
            text.push_degrees(units);
            prop_assert_eq!(text, format!("{number} {}", Degrees(units.into())));
        }
    }

    #[test]
    fn small_numbers_are_as_formatted() {
        for (units, degrees) in [(0, "0.0000000"), (-1, "-0.0000001"), (10_000_000, "1.0000000")] {
            let mut text = String::new();
            text.push_degrees(units);
            assert_eq!(text, degrees);
        }
        let mut text = String::new();
        [0, 9, 10, u64::MAX].into_iter().for_each(|number| text.push_number(number));
        assert_eq!(text, "091018446744073709551615");
    }
}
