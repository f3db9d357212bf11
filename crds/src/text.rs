//! Text newtypes of the kinds. Each owns its bounds and the sentence a person reads when a value is refused.
//! Parsing into domain types happens in the planners; nothing here decides anything.

use std::{borrow::Cow, fmt};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Declares a transparent string newtype with a bound, a CEL rule over `self` and the refusal's sentence.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, 1..=$max:expr, $rule:expr, $says:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The text as written in the manifest.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "minLength": 1,
                    "maxLength": $max,
                    "x-kubernetes-validations": [{"rule": $rule, "message": $says}],
                })
            }
        }
    };
}

/// Whole numbers with a unit only: what an API server and the planners read alike.
fn size(bound: &str) -> String {
    let form = matches("^[0-9]{1,15}([KMGT]i|[kMGT])?$");
    format!("{form} && {bound} && quantity(self).isLessThan(quantity('1Pi'))")
}

fn matches(pattern: &str) -> String {
    format!("self.matches(r'{pattern}')")
}

text!(
    /// A DNS label: the name of a namespace, a node, a storage-free reference.
    Label, 1..=63, matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"),
    "must be a DNS label: lower-case letters, digits and '-', starting and ending with a letter or digit"
);
text!(
    /// The name of a Kubernetes object.
    ObjectName, 1..=253, matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
    "must be an object name: lower-case letters, digits, '-' and '.', starting and ending with a letter or digit"
);
text!(
    /// The UID of a Kubernetes object.
    UidText, 1..=36, matches("^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"),
    "must be a UID such as 0a1b2c3d-0000-4000-8000-000000000000"
);
text!(
    /// The name of a node of Proxmox.
    NodeId, 1..=63, matches("^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$"),
    "must be a node's name: letters, digits and '-', starting and ending with a letter or digit"
);
text!(
    /// An identifier of Proxmox: a storage, bridge or pool.
    PveId, 1..=63, matches("^[A-Za-z][A-Za-z0-9._-]*$"),
    "must be a Proxmox identifier: a letter, then letters, digits, '.', '_' or '-'"
);
text!(
    /// One OpenSSH public key, as in an `authorized_keys` line without options.
    SshKey, 1..=domain::sshkey::SSH_KEY_MAX_LENGTH, matches(domain::sshkey::SSH_KEY_PATTERN),
    "not an OpenSSH public key (expected \"ssh-ed25519 AAAA… comment\" on one line)"
);
text!(
    /// An amount of money as an exact decimal, at most nine fractional digits.
    Decimal, 1..=20, matches(domain::money::DECIMAL_PATTERN),
    "must be a decimal of at most 9 whole and 9 fractional digits, 0 or more, such as \"12.50\""
);
text!(
    /// A size as a Kubernetes quantity.
    Size, 1..=24, size("quantity(self).isGreaterThan(quantity('0'))"),
    "must be a quantity without a fraction, above 0 and below 1Pi, such as \"4Gi\" or \"1536Mi\""
);
text!(
    /// A size as a Kubernetes quantity, 0 included.
    SizeOrZero, 1..=24, size("true"),
    "must be a quantity without a fraction, 0 or more and below 1Pi, such as \"4Gi\" or \"1536Mi\""
);
text!(
    /// An IPv4 address.
    Ipv4, 1..=15, "isIP(self) && ip(self).family() == 4", "must be an IPv4 address such as 192.0.2.10"
);
text!(
    /// An IPv4 network.
    Ipv4Cidr, 1..=18, "isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self) == cidr(self).masked() && cidr(self).prefixLength() >= 8 && cidr(self).prefixLength() <= 28",
    "must be an IPv4 network between /8 and /28 without host bits, such as 10.64.0.0/16"
);
text!(
    /// A DNS domain.
    DomainName, 1..=200, matches("^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
    "must be a lower-case domain name such as example.org"
);
text!(
    /// The address of a Proxmox API.
    ProxmoxUrl, 1..=256, matches("^https://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?/?$"),
    "must be an https address without a path, such as https://pve1.example.org:8006"
);
text!(
    /// The SHA-256 fingerprint of a certificate, as Proxmox shows it.
    Fingerprint, 1..=95, matches("^([0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}$"),
    "must be a SHA-256 fingerprint: 32 pairs of hex digits with ':' between them"
);
text!(
    /// Certificates in PEM.
    Pem, 1..=65536, "self.contains('-----BEGIN CERTIFICATE-----')", "must hold at least one certificate in PEM"
);
text!(
    /// An Ed25519 public key.
    PublicKeyHex, 1..=64, matches("^[0-9a-f]{64}$"), "must be an Ed25519 public key: 64 lower-case hex digits"
);
text!(
    /// A currency by its three letters.
    Currency, 1..=3, matches("^[A-Z]{3}$"), "must be a currency code of three capital letters, such as USD"
);
text!(
    /// A login name on the machine.
    UserName, 1..=32, matches("^[a-z_][a-z0-9_-]*$"),
    "must be a login name: a lower-case letter or '_', then lower-case letters, digits, '_' or '-'"
);
text!(
    /// An account's public name.
    AccountName, 1..=64, matches("^[A-Za-z0-9][A-Za-z0-9._@-]*$"),
    "must start with a letter or digit and hold only letters, digits and '. _ @ -'"
);
text!(
    /// One line of free text.
    Line, 1..=256, matches("^[^\\x00-\\x1f\\x7f\\x{85}\\x{2028}\\x{2029}]*$"), "must be one line, without control characters"
);
text!(
    /// Free text.
    Prose, 1..=4096, "self.trim() != ''", "must not be blank"
);
text!(
    /// A ratio of virtual to physical processors.
    Ratio, 1..=6, matches("^([1-9]|[1-5][0-9]|6[0-4])([.][0-9]{1,2})?$"), "must be a number from 1 to 64.99, such as \"2\" or \"1.5\""
);
text!(
    /// A SHA-256 digest.
    Digest, 1..=71, matches("^sha256:[0-9a-f]{64}$"), "must be sha256: and 64 hex digits"
);
