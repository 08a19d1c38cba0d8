//! Tables that a test shows. They go past the capture of the test runner, so that `make test`
//! prints them.

use std::io::Write;

/// Prints a title and rows in left-aligned columns; the first row is the head.
pub fn show<const N: usize>(title: &str, rows: &[[String; N]]) {
    let mut error = std::io::stderr().lock();
    // A closed terminal fails nothing.
    let _ = writeln!(error, "\n{title}\n{}", aligned(rows));
}

/// Rows in left-aligned columns, as kubectl prints them.
pub fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let line = |row: &[String; N]| {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("   ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
