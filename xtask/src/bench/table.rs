//! Figures with their bounds as a table for people. Judges by the bound alone; measures nothing.

use comfy_table::Table;
use comfy_table::presets::UTF8_BORDERS_ONLY;

/// One figure with its bound.
pub struct Row {
    /// What was measured.
    pub what: &'static str,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it should be.
    pub bound: Bound,
}

/// What a figure should be.
pub enum Bound {
    /// Less than this.
    Below(f64),
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bound {
    fn holds(&self, value: f64) -> bool {
        match self {
            Self::Below(limit) => value < *limit,
            Self::AtMost(limit) => value <= *limit,
            Self::AtLeast(limit) => value >= *limit,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Below(limit) => format!("< {limit}"),
            Self::AtMost(limit) => format!("≤ {limit}"),
            Self::AtLeast(limit) => format!("≥ {limit}"),
        }
    }
}

/// The table; `judged` says whether each figure met its bound.
pub fn table(rows: &[Row], judged: bool) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_BORDERS_ONLY)
        .set_header(["", "measured", "target", ""]);
    for Row {
        what,
        value,
        unit,
        bound,
    } in rows
    {
        let verdict = match (judged, bound.holds(*value)) {
            (false, _) => "",
            (true, true) => "met",
            (true, false) => "MISSED",
        };
        table.add_row([
            (*what).to_owned(),
            format!("{value:.1} {unit}"),
            bound.text(),
            verdict.to_owned(),
        ]);
    }
    table
}
