//! Every text type: what it takes, and that each field that uses it refuses the same with its own path.

use anyhow::Result;
use testkit::with_namespace;

use crate::support::walk::{Place, places};
use crate::support::{Case, check, samples, statuses};

/// The start of the type's sentence, a field of that type, what it takes, what it refuses.
type Text = (
    &'static str,
    (&'static str, &'static str),
    &'static [&'static str],
    &'static [&'static str],
);

const HEX64: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";
const HEX64_FF: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
const HEX_UPPER: &str = "0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A0A";
const COLONS: &str =
    "A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2:A1:b2";
const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDS";
const ECDSA: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAI bob";
const SK: &str = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAA";
const OPTIONS: &str = "command=\"id\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd8";
const TWO_LINES: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd8\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHd8";
const MIXED_TYPES: &str = "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIHd8";
const SHORT_UID: &str = "0a1b2c3d-0000-4000-8000-00000000000";
const WHOLE: &str = "must be a quantity without a fraction, ";

const TEXTS: &[Text] = &[
    (
        "must be a DNS label",
        ("Account", "spec.namespace"),
        &["a", "a-1", "1a"],
        &["A", "a.b", "-a", "a-", "a b", "ä"],
    ),
    (
        "must be an object name",
        ("Pool", "spec.gatewayRef.name"),
        &["a", "a-1.b", "1"],
        &["A", "a..b", ".a", "a.", "a-.b", "a/b", "a_b"],
    ),
    (
        "must be a UID",
        ("Machine", "spec.hubUID"),
        &[samples::UID],
        &[
            "x",
            SHORT_UID,
            "0A1B2C3D-0000-4000-8000-000000000000",
            HEX64_SHORT,
        ],
    ),
    (
        "must be a Proxmox identifier",
        ("Pool", "spec.bridge"),
        &["vmbr1", "A", "a.b_c-d"],
        &["1a", "a b", "a/b", "-a"],
    ),
    (
        "must be a node's name",
        ("Slot", "spec.node"),
        &["pve1", "2u-pve", "A", "7"],
        &["-a", "a-", "a_b", "a.b", "a b", "ä"],
    ),
    (
        "not an OpenSSH public key",
        ("Contract", "spec.sshKeys[]"),
        &[samples::KEY, RSA, ECDSA, SK],
        &[
            "ssh-rsa",
            "ssh-dss AAAAB3NzaC1kc3M",
            OPTIONS,
            TWO_LINES,
            MIXED_TYPES,
            "ssh-ed25519",
        ],
    ),
    (
        "must be a decimal",
        ("Offering", "spec.price.monthly"),
        &["0", "12.50", "0.000000001", "999999999.999999999"],
        &[
            "-1",
            "+1",
            "1e3",
            "1.",
            ".5",
            "01",
            "1,5",
            "1.1234567890",
            "1000000000",
            "1 ",
            "NaN",
        ],
    ),
    (
        "must be a quantity without a fraction, above 0",
        ("Offering", "spec.resources.memory"),
        &["16Mi", "1Gi", "1048576k", "16777216", "1023Ti"],
        &[
            "0", "0Gi", "-1Gi", "+1Gi", "1Pi", "1E", "1e9", "1E3Mi", "0.5Gi", ".5Gi", "1.5", "1000m",
            "1024Ti", "1K", "1gi", "1 Gi", "Gi",
        ],
    ),
    (
        "must be a quantity without a fraction, 0 or more",
        ("Pool", "spec.reserve.memory"),
        &["0", "1G", "1k", "3", "1023Ti"],
        &[
            "-1Gi",
            "+1",
            "1Pi",
            "0.5Gi",
            "1e3",
            "100m",
            "1024Ti",
            "1125899906842624",
            "much",
        ],
    ),
    (
        "must be an IPv4 address",
        ("Gateway", "spec.publicIPs[]"),
        &["192.0.2.1", "255.255.255.255"],
        &[
            "::1",
            "192.0.2",
            "192.0.2.256",
            "192.0.02.1",
            "192.0.2.1/32",
            "host",
            "1",
        ],
    ),
    (
        "must be an IPv4 network",
        ("Gateway", "spec.network.cidr"),
        &["10.64.0.0/16", "10.0.0.0/8", "10.64.0.0/28"],
        &[
            "10.64.0.0",
            "10.64.0.1/16",
            "10.0.0.0/7",
            "10.64.0.0/29",
            "10.64.0.0/33",
            "fd00::/16",
            "10.64.0.0/016",
        ],
    ),
    (
        "must be a lower-case domain name",
        ("Gateway", "spec.domain"),
        &["example.org", "localhost", "a-1.b.c"],
        &[
            "Example.org",
            "example..org",
            ".org",
            "org.",
            "-a.org",
            "a_b.org",
            "a b",
        ],
    ),
    (
        "must be an https address without a path",
        ("Pool", "spec.proxmox.endpoints[]"),
        &[
            "https://pve1",
            "https://192.0.2.2:8006",
            "https://pve1.example.org:65535/",
        ],
        &[
            "http://pve1",
            "pve1:8006",
            "https://pve1/api2",
            "https://u@pve1",
            "https://pve1:0",
            "https://pve1:65536",
            "https://",
            "https://pve1?x",
            "https://-",
        ],
    ),
    (
        "must be a SHA-256 fingerprint",
        ("Pool", "spec.proxmox.fingerprint"),
        &[COLONS],
        &["A1", HEX64, "sha256:a1"],
    ),
    (
        "must hold at least one certificate in PEM",
        ("Gateway", "spec.tls.acme.caBundle"),
        &[samples::PEM],
        &["AA==", " "],
    ),
    (
        "must be an Ed25519 public key",
        ("Account", "spec.publicKeys[].key"),
        &[HEX64_FF],
        &["0a", HEX_UPPER, samples::UID],
    ),
    (
        "must be a currency code",
        ("Offering", "spec.price.currency"),
        &["EUR", "XBT"],
        &["usd", "US", "€", "US1"],
    ),
    (
        "must be a login name",
        ("Offering", "spec.user"),
        &["root", "_x", "a-1"],
        &["Root", "1a", "a b", "-a", "a.b"],
    ),
    (
        "must start with a letter or digit and hold only",
        ("Account", "spec.username"),
        &["a", "Alice@example.org", "1_2-3.4"],
        &["-x", "a b", "ä", "a/b", "@a"],
    ),
    (
        "must be one line",
        ("Account", "spec.contact"),
        &["a", "ä → ü", " "],
        &["a\nb", "a\rb", "a\u{2028}b", "a\u{0}b", "\t"],
    ),
    (
        "must not be blank",
        ("Contract", "spec.memo"),
        &["a", " a\n"],
        &[" ", "\n\t"],
    ),
    (
        "must be a number from 1 to 64.99",
        ("Pool", "spec.overcommit.cpu"),
        &["1", "1.5", "64.99"],
        &["0.5", "65", "1.555", "-1", "1e1", "2x", "01"],
    ),
    (
        "must be sha256: and 64 hex digits",
        ("Pool", "spec.templates[].digest"),
        &[],
        &["sha256:0a", HEX64],
    ),
];
const HEX64_SHORT: &str = "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a";

fn good() -> Vec<Case> {
    let places = places();
    let of = |(_, (kind, path), takes, _): &Text| {
        let place = places
            .iter()
            .find(|place| place.kind == *kind && place.to_string() == *path);
        let place = place.unwrap_or_else(|| panic!("{kind} has no {path}")).clone();
        takes.iter().map(move |text| Case::accepted(put(&place, text)))
    };
    TEXTS.iter().flat_map(of).collect()
}

/// Each bad text at each field whose rule speaks that sentence.
pub fn bad() -> Vec<Case> {
    let mut cases = Vec::new();
    for place in places() {
        for (_, message) in place.rules() {
            let Some((says, _, _, refuses)) = TEXTS.iter().find(|text| message.starts_with(text.0)) else {
                continue;
            };
            cases.extend(refuses.iter().map(|text| {
                let object = put(&place, text);
                let path = place.path_in(&object);
                let case = Case::refused(object, path, *says);
                if place.within("spec") {
                    case
                } else {
                    case.from(samples::full(&place.kind)).in_status()
                }
            }));
        }
    }
    cases
}

fn put(place: &Place, text: &str) -> serde_json::Value {
    let mut object = samples::full(&place.kind);
    if place.within("status") {
        object["status"] = statuses::status(&place.kind);
    }
    place.set(&object, Some(text.into()))
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_text_takes_what_it_says() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, good()).await }).await
}

#[tokio::test]
#[ignore = "needs a control plane"]
async fn each_text_refuses_at_its_own_path_with_its_sentence() -> Result<()> {
    with_namespace(|ns| async move { check(&ns, bad()).await }).await
}

/// What the API server takes as a size, the planners read; otherwise a machine would wait for a person for ever.
#[test]
fn sizes_that_are_accepted_are_sizes_that_are_read() {
    for (says, _, takes, _) in TEXTS.iter().filter(|text| text.0.starts_with(WHOLE)) {
        for text in *takes {
            assert!(text.parse::<domain::quantity::Bytes>().is_ok(), "{says}: {text}");
        }
    }
}

#[test]
fn amounts_are_accepted_exactly_if_they_are_read() {
    let (_, _, takes, refuses) = TEXTS
        .iter()
        .find(|text| text.0 == "must be a decimal")
        .expect("a row");
    assert!(
        takes
            .iter()
            .all(|text| text.parse::<domain::money::E9s>().is_ok())
    );
    assert!(
        refuses
            .iter()
            .all(|text| text.parse::<domain::money::E9s>().is_err())
    );
}
