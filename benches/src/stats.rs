//! What many measurements come to. Pure.

use std::fmt;

/// The middle and the ends of some measurements.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// Nothing, if nothing was measured.
    pub fn of(samples: &[f64]) -> Option<Self> {
        let median = percentile(samples, 50.0)?;
        let sorted = sorted(samples);
        Some(Self { median, least: *sorted.first()?, most: *sorted.last()? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, least, most } = self;
        if (most - least).abs() < f64::EPSILON {
            return f.write_str(&number(*median));
        }
        write!(f, "{} ({}–{})", number(*median), number(*least), number(*most))
    }
}

/// A spread as text; a dash, if nothing was measured.
pub fn spread(samples: &[f64]) -> String {
    Spread::of(samples).map_or_else(|| "–".to_owned(), |spread| spread.to_string())
}

/// By nearest rank: the smallest sample that at least `percent` of all do not exceed.
pub fn percentile(samples: &[f64], percent: f64) -> Option<f64> {
    let sorted = sorted(samples);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "samples are few, and a rank is not negative"
    )]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// With as many digits as say something.
pub fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    grouped(&format!("{value:.digits$}"))
}

/// A comma between thousands.
fn grouped(text: &str) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').map_or((text, None), |(a, b)| (a, Some(b)));
    let mut out = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{out}.{fraction}"),
        None => format!("{sign}{out}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_sample_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        for (percent, expected) in [(50.0, 50.0), (99.0, 99.0), (100.0, 100.0), (0.0, 1.0)] {
            assert_eq!(percentile(&hundred, percent), Some(expected), "p{percent}");
        }
        assert_eq!(percentile(&[7.0], 99.0), Some(7.0));
        assert_eq!(percentile(&[], 50.0), None);
    }

    #[test]
    fn a_spread_shows_the_ends_where_they_differ() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), "2.00 (1.00–3.00)");
        assert_eq!(spread(&[20.0, 20.0]), "20.0");
        assert_eq!(spread(&[]), "–");
    }

    #[test]
    fn numbers_have_the_digits_that_say_something() {
        let shown = [0.0, 0.153, 12.34, 123.4, 12_345.6, 1_234_567.0, -1000.0].map(number);
        assert_eq!(shown, ["0", "0.15", "12.3", "123", "12,346", "1,234,567", "-1,000"]);
    }
}
