//! The syntax of OpenSSH public keys as far as a schema can check it.
//!
//! Owns the pattern; whether the key itself is sound is for a parser to say.

/// The longest accepted key line: an RSA key of 16384 bits with a comment fits.
pub const SSH_KEY_MAX_LENGTH: u32 = 4096;

/// One line: type, base64 that starts with that type, optional comment. RE2.
pub const SSH_KEY_PATTERN: &str = concat!(
    "^(",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5",
    "|ssh-rsa AAAAB3NzaC1y",
    "|ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAy",
    "|ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAz",
    "|ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1",
    "|sk-ssh-ed25519@openssh\\.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t",
    "|sk-ecdsa-sha2-nistp256@openssh\\.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5j",
    ")[A-Za-z0-9+/]+={0,2}( [^\\x00-\\x1f\\x7f]*)?$",
);

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use regex::Regex;
    use rstest::rstest;

    use super::*;

    const TYPES: [&str; 7] = [
        "ssh-ed25519",
        "ssh-rsa",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
    ];

    fn line(outer: &str, inner: &str, body: usize) -> String {
        let mut blob = u32::try_from(inner.len()).unwrap().to_be_bytes().to_vec();
        blob.extend(inner.as_bytes());
        blob.resize(blob.len() + body, 0xfe);
        format!("{outer} {}", STANDARD.encode(blob))
    }

    fn matches(text: &str) -> bool {
        Regex::new(SSH_KEY_PATTERN).unwrap().is_match(text)
    }

    #[test]
    fn every_modern_type_is_taken_with_and_without_comment() {
        for kind in TYPES {
            for body in [36, 37, 38, 2100] {
                let key = line(kind, kind, body);
                assert!(matches(&key), "{key}");
                assert!(matches(&format!("{key} alice@laptop, the new one – grüße")));
                assert!(key.len() < SSH_KEY_MAX_LENGTH as usize);
            }
        }
    }

    #[test]
    fn a_key_that_says_another_type_inside_is_refused() {
        for outer in TYPES {
            for inner in TYPES.into_iter().filter(|inner| *inner != outer) {
                assert!(!matches(&line(outer, inner, 40)), "{outer} with {inner} inside");
            }
        }
    }

    #[rstest]
    #[case::empty("")]
    #[case::type_only("ssh-ed25519")]
    #[case::old("ssh-dss AAAAB3NzaC1kc3MAAACBAP")]
    #[case::private("-----BEGIN OPENSSH PRIVATE KEY-----")]
    #[case::options("no-pty ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF")]
    #[case::two_lines(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF a\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF b"
    )]
    #[case::newline_at_end("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF\n")]
    #[case::return_in_comment("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF a\rb")]
    #[case::leading_space(" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF")]
    fn other_lines_are_refused(#[case] text: &str) {
        assert!(!matches(text));
    }
}
