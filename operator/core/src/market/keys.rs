//! SSH keys, parsed rather than matched. Must not judge strength: a type that OpenSSH takes is taken.

use crds::text::SshKey;

/// Position of the first key that does not decode.
#[must_use]
pub fn first_bad(keys: &[SshKey]) -> Option<usize> {
    keys.iter()
        .position(|key| ssh_key::PublicKey::from_openssh(key.as_str()).is_err())
}

/// What people are told about the key at this position.
#[must_use]
pub fn says(position: usize) -> String {
    format!("sshKeys[{position}] doesn't decode as an OpenSSH public key.")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::market::samples::KEY;

    #[rstest]
    #[case::ed25519(KEY)]
    #[case::comment(&format!("{KEY} grüße from alice"))]
    #[case::rsa(
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCdFNyutm49IMcCrgVQpPkz9mcKT+8+qXKS0uDnRKM9hKp4QulRGE5wC3ajCcgO3eADvU3k8vLYKFZd3XXMEiYxklLoTdfqcjl6loAOg52mTSvhzsMu40u8LIBAdckYDFcdKLWOROytdNrnt5Ec5AEJKVbWf3ifU/tkePkCQEc9/k8ssB2gLDI3CfWER+Q0NJbbTtXBKBi9p/P0w2sO1c5fRKgWGAfTb3qQIUB9E0x8W1D5LC+rWbEX9NGVb1gHXgscU1noudBcMwcms7Rrg2Xl1ahSe7LQ55ihWglR7bQC7d7/9tMlniAVmXlIF+2fR28n/0L5crlAtWe0qDjUisISBretOhHINFlb2TZwY/vrq/IX0opVKPyMJRyIwapre2CUUrYdfoWDaEDRzZ1GIL9Nm59TJHvU2hniiQvTJnvv78BiMVdT20ZPJ1fJYG0x4ocS9Ibfs8CNAUdsNDYZrxKkiKYSjpRNuxQkpA2nqYLszuYGO1emtuuoyMTtybJtY8E= t"
    )]
    #[case::ecdsa_256(
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBA8SXVj2+Ev8uR0hu8ht6KF71RDEQ5VM5w4QinXBLrAktkbFJvWN3Y1Cke4xgUuajaYzOlIG9vi3u1A29OwEa2Q= t"
    )]
    #[case::ecdsa_384(
        "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBFrbNUEbwTdaEI3LaNJj+0tCGdQx90g7E/CPjlCQf4blcvtcR7g28uekE+PnHstbocFSyJCnSZ0xwVnmWZ7m4Dboi1/LRX820bsYsYzJ+5q5jFjGeq3P1g7dRoatCyA6Nw== t"
    )]
    #[case::ecdsa_521(
        "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBADAclxaqFWgRQtV0LhgqZOzRaIbOcFPx28GJ9Tb4gQ90fwPINv2aKl2ZwnyNj6ZcvAoeq3bQESXS36l0e6xgNb6sgBjt0JvF1hrW0Dpn+j+y97syCzykVJ8DNTSvv6UDCzijMKtLLaxYL/6NLsXKj94rtxOZWHeM40Y4vlTaht8wJhIsw== t"
    )]
    #[case::sk_ed25519(
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIKKynPjyBA8arsrxy59ZcV4zHyymJhe+uFPeWCJPAfz0AAAABHNzaDo= t"
    )]
    #[case::sk_ecdsa(
        "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBA8SXVj2+Ev8uR0hu8ht6KF71RDEQ5VM5w4QinXBLrAktkbFJvWN3Y1Cke4xgUuajaYzOlIG9vi3u1A29OwEa2QAAAAEc3NoOg== t"
    )]
    fn p87_current_types_pass(#[case] key: &str) {
        assert_eq!(first_bad(&[key.into()]), None);
    }

    #[rstest]
    #[case::cut(&KEY[..KEY.len() - 8])]
    #[case::wire_example("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFFF")]
    #[case::empty("")]
    fn a_key_that_does_not_decode_is_named_by_its_place(#[case] key: &str) {
        assert_eq!(first_bad(&[KEY.into(), key.into()]), Some(1));
        assert!(says(1).starts_with("sshKeys[1] "));
    }
}
