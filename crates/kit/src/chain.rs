//! An error and its causes on one line. Must not be used to decide anything:
//! it is text for people.

use std::error::Error;

use kube::core::Status;

/// Prints the error and its sources, outermost first, separated by ": ".
///
/// A source whose text the line already contains is skipped, because some
/// libraries embed their source in their own text. A refusal by the API server
/// is shown by its message, not by its debug form.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = text(error);
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = text(cause);
        if !line.contains(&cause_text) {
            line.push_str(": ");
            line.push_str(&cause_text);
        }
        next = cause.source();
    }
    line
}

fn text(error: &(dyn Error + 'static)) -> String {
    // A boxed source shows itself as the box.
    let refusal = match error.downcast_ref() {
        Some(kube::Error::Api(status)) => Some(status.as_ref()),
        _ => error
            .downcast_ref::<Status>()
            .or_else(|| error.downcast_ref::<Box<Status>>().map(AsRef::as_ref)),
    };
    if let Some(status) = refusal {
        let told = if status.message.is_empty() {
            &status.reason
        } else {
            &status.message
        };
        return told.clone();
    }
    error.to_string()
}

/// Cuts a text to at most `max` bytes at a character border, marking the cut.
#[must_use]
pub fn cut(text: &str, max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to apply Slot a-1")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("transport: {0}")]
    struct Middle(#[source] std::io::Error);

    #[test]
    fn a_source_the_parent_already_printed_is_not_repeated() {
        let error = Outer(Middle(std::io::Error::other("connection reset")));
        assert_eq!(
            chain(&error),
            "failed to apply Slot a-1: transport: connection reset"
        );
    }

    #[derive(Debug, thiserror::Error)]
    #[error("failed to read Machine m")]
    struct Wrapped(#[source] kube::Error);

    #[test]
    fn a_refusal_shows_its_message_and_no_debug_text() {
        let status = Status::failure("machines \"m\" is forbidden", "Forbidden");
        let error = Wrapped(kube::Error::Api(status.boxed()));
        assert_eq!(
            chain(&error),
            "failed to read Machine m: machines \"m\" is forbidden"
        );
    }

    #[test]
    fn a_cut_respects_bytes_and_characters() {
        assert_eq!(cut("short", 10), "short");
        let long = "ä".repeat(700);
        let short = cut(&long, 1024);
        assert!(short.len() <= 1024 && short.len() > 1018, "{}", short.len());
        assert!(short.ends_with('…'));
    }
}
