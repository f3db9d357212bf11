//! Lines that prove themselves: a checksum, then the text. Reads and writes no file.

use sha1::{Digest as _, Sha1};

/// The length of a checksum and the space behind it.
const HEAD: usize = 17;

/// A line for a text without line ends.
pub fn line(text: &str) -> String {
    format!("{} {text}\n", checksum(text))
}

/// The texts of all whole lines, up to the first that is torn, and how many bytes they take.
pub fn whole(bytes: &[u8]) -> (Vec<&str>, usize) {
    let mut texts = Vec::new();
    let mut end = 0;
    for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
        let Some(text) = proven(piece) else { break };
        texts.push(text);
        end += piece.len();
    }
    (texts, end)
}

fn proven(piece: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(piece.strip_suffix(b"\n")?).ok()?;
    let (sum, rest) = (text.get(..HEAD - 1)?, text.get(HEAD..)?);
    (checksum(rest) == sum).then_some(rest)
}

fn checksum(text: &str) -> String {
    hex::encode(&Sha1::digest(text)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_torn_at_any_byte_is_dropped_and_nothing_else() {
        let (first, second) = (line("{\"a\":1}"), line("{\"b\":\"ü\"}"));
        let all = format!("{first}{second}");
        for cut in 0..=all.len() {
            let (texts, end) = whole(&all.as_bytes()[..cut]);
            let expected = match cut {
                cut if cut == all.len() => 2,
                cut if cut >= first.len() => 1,
                _ => 0,
            };
            assert_eq!(texts.len(), expected, "cut at {cut}");
            assert!(end <= cut);
        }
    }

    #[test]
    fn a_line_that_was_changed_ends_the_reading() {
        let mut all = format!("{}{}", line("one"), line("two")).into_bytes();
        all[18] ^= 1;
        assert_eq!(whole(&all), (Vec::new(), 0));
    }
}
