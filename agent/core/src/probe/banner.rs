//! The first thing an SSH server says (RFC 4253, section 4.2), taken from whatever has come so far.

/// A server may say this much before its identification ends.
pub const MAX_BANNER_BYTES: usize = 8 * 1024;
/// Lines before the identification.
const MAX_LINES: usize = 64;
/// Its own length, with the end of the line.
const MAX_LINE: usize = 255;

/// Why this is no SSH server that anybody could use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BannerError {
    /// It said too much before its identification.
    #[error("it said more than 64 lines or 8 kB before its identification")]
    TooMuch,
    /// The line is too long, or has bytes that are no text.
    #[error("its identification is longer than 255 bytes or not plain text")]
    Malformed,
    /// It speaks a version that is not in use any more.
    #[error("it does not speak SSH 2")]
    Old,
}

/// The identification without its end of line; none while more is to come.
///
/// # Errors
/// When no identification can follow.
pub fn banner(so_far: &[u8]) -> Result<Option<String>, BannerError> {
    let mut rest = so_far;
    let mut lines = 0;
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let (line, after) = rest.split_at(end + 1);
        if line.starts_with(b"SSH-") {
            return identification(line).map(Some);
        }
        lines += 1;
        if lines > MAX_LINES {
            return Err(BannerError::TooMuch);
        }
        rest = after;
    }
    if rest.starts_with(b"SSH-") && rest.len() > MAX_LINE {
        return Err(BannerError::Malformed);
    }
    if so_far.len() >= MAX_BANNER_BYTES {
        return Err(BannerError::TooMuch);
    }
    Ok(None)
}

fn identification(line: &[u8]) -> Result<String, BannerError> {
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    let plain = text.iter().all(|byte| (b' '..=b'~').contains(byte));
    if line.len() > MAX_LINE || !plain {
        return Err(BannerError::Malformed);
    }
    let text = String::from_utf8_lossy(text).into_owned();
    if text.starts_with("SSH-2.0-") || text.starts_with("SSH-1.99-") {
        Ok(text)
    } else {
        Err(BannerError::Old)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(b"SSH-2.0-OpenSSH_10.0p2 Debian-7\r\n", "SSH-2.0-OpenSSH_10.0p2 Debian-7")]
    #[case(b"SSH-2.0-dropbear\n", "SSH-2.0-dropbear")]
    #[case(b"welcome\r\nto this\nSSH-1.99-x\r\nrest", "SSH-1.99-x")]
    fn an_identification_is_found(#[case] bytes: &[u8], #[case] want: &str) {
        assert_eq!(banner(bytes), Ok(Some(want.to_owned())));
    }

    #[rstest]
    #[case(b"")]
    #[case(b"SSH-2.0-Open")]
    #[case(b"welcome\r\nSSH")]
    fn more_is_awaited(#[case] bytes: &[u8]) {
        assert_eq!(banner(bytes), Ok(None));
    }

    #[test]
    fn bounds_hold() {
        assert_eq!(banner(&b"x\n".repeat(65)), Err(BannerError::TooMuch));
        assert_eq!(banner(&b"x".repeat(MAX_BANNER_BYTES)), Err(BannerError::TooMuch));
        let long = format!("SSH-2.0-{}\r\n", "x".repeat(246));
        assert_eq!(banner(long.as_bytes()), Err(BannerError::Malformed));
        let endless = format!("SSH-2.0-{}", "x".repeat(300));
        assert_eq!(banner(endless.as_bytes()), Err(BannerError::Malformed));
        assert!(matches!(
            banner(format!("SSH-2.0-{}\r\n", "x".repeat(245)).as_bytes()),
            Ok(Some(_))
        ));
        assert_eq!(banner(b"SSH-2.0-a\0b\r\n"), Err(BannerError::Malformed));
        assert_eq!(banner(b"SSH-2.0-a\xffb\r\n"), Err(BannerError::Malformed));
        assert_eq!(banner(b"SSH-1.5-old\r\n"), Err(BannerError::Old));
    }

    proptest! {
        #[test]
        fn what_is_found_early_stays_found(bytes in prop::collection::vec(any::<u8>(), 0..600), cut in 0..600_usize) {
            let early = banner(bytes.get(..cut).unwrap_or(&bytes));
            if early != Ok(None) {
                prop_assert_eq!(early, banner(&bytes));
            }
        }
    }
}
