//! Host keys as `ssh-keyscan` prints them, one a line: `host type base64`.

use ssh_key::PublicKey;

/// More are not kept.
pub const MAX_HOST_KEYS: usize = 8;
const MAX_LENGTH: usize = 2048;

/// The keys as `type base64`, each once and in a fixed order; what is no key is left out.
#[must_use]
pub fn host_keys(output: &str) -> Vec<String> {
    let mut keys: Vec<String> = output.lines().filter_map(host_key).collect();
    keys.sort();
    keys.dedup();
    keys.truncate(MAX_HOST_KEYS);
    keys
}

fn host_key(line: &str) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut words = line.split_ascii_whitespace().skip(1);
    let key = format!("{} {}", words.next()?, words.next()?);
    let sound = key.len() <= MAX_LENGTH && PublicKey::from_openssh(&key).is_ok();
    sound.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn keys_are_kept_once_without_the_host() {
        let output = format!(
            "# 203.0.113.7:20000 SSH-2.0-OpenSSH_9.2p1\n[203.0.113.7]:20000 {ED25519}\n[203.0.113.7]:20000 {ED25519}\n"
        );
        assert_eq!(host_keys(&output), [ED25519]);
    }

    #[test]
    fn what_is_no_key_is_left_out() {
        for line in [
            "",
            "host",
            "host ssh-ed25519",
            "host ssh-ed25519 AAAA",
            "host ssh-rsa $(reboot)",
            "Connection closed by peer",
        ] {
            assert!(host_keys(line).is_empty(), "{line}");
        }
    }
}
