//! Names of records as the API takes and keeps them: relative names get the zone, all are lower case.

use super::refusal::Refusal;

/// The longest name.
const LONGEST: usize = 253;
/// The longest label.
const LABEL: usize = 63;

/// The name under which a record of a zone is kept.
pub fn normal(given: &str, zone: &str) -> Result<String, Refusal> {
    let invalid = || Refusal::invalid(9000, "DNS name is invalid.");
    let name = given.trim().trim_end_matches('.').to_ascii_lowercase();
    let name = match name.as_str() {
        "" => return Err(invalid()),
        "@" => zone.to_owned(),
        name if within(name, zone) => name.to_owned(),
        name => format!("{name}.{zone}"),
    };
    if is_name(&name) { Ok(name) } else { Err(invalid()) }
}

/// Whether a name is a zone's or below it.
pub fn within(name: &str, zone: &str) -> bool {
    name == zone
        || name
            .strip_suffix(zone)
            .is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
}

/// Whether this can be the name of a record.
pub fn is_name(name: &str) -> bool {
    let label = |(place, label): (usize, &str)| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let wild = place == 0 && label == "*";
        wild || (!label.is_empty() && label.len() <= LABEL && label.chars().all(good))
    };
    name.len() <= LONGEST && name.split('.').enumerate().all(label)
}

/// The host that a record points to, without its last dot.
pub fn host(given: &str) -> Option<String> {
    let name = given.trim().trim_end_matches('.').to_ascii_lowercase();
    let number = name.parse::<std::net::IpAddr>().is_ok();
    (!number && !name.starts_with('*') && is_name(&name) && name.contains('.')).then_some(name)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("@", "example.org")]
    #[case("www", "www.example.org")]
    #[case("WWW.Example.ORG.", "www.example.org")]
    #[case("*.a", "*.a.example.org")]
    #[case("notexample.org", "notexample.org.example.org")]
    #[case("_acme-challenge.a", "_acme-challenge.a.example.org")]
    fn names_are_kept_whole_and_in_lower_case(#[case] given: &str, #[case] kept: &str) {
        assert_eq!(normal(given, "example.org").unwrap(), kept);
    }

    #[rstest]
    #[case("")]
    #[case("a..b")]
    #[case("a.*.b")]
    #[case("a b")]
    #[case(&"a".repeat(64))]
    #[case(&"a.".repeat(130))]
    fn what_is_no_name_is_refused(#[case] given: &str) {
        assert_eq!(normal(given, "example.org").unwrap_err().code, 9000);
    }
}
